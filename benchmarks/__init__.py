"""Quality, size and speed of nvcodec beside HEVC, VVC and AV1, from files that are really written.

    run.py       python -m benchmarks.run CLIPS... -o OUT     the report on any clips
    mcl_jcv.py   python -m benchmarks.mcl_jcv --data DIR      the same on MCL-JCV, as in the paper
    speed.py     python -m benchmarks.speed CLIP              encode and decode speed, one table

    clips.py master.py   videos -> lossless 640x360 masters     codecs/      one adapter per codec
    plan.py engine.py    what to measure, and doing it          cache.py     rows that survive stops
    metrics.py           LPIPS, PSNR, MS-SSIM, VMAF, flicker    bdrate.py    curves and BD-rate
    ffmpeg.py            finds ffmpeg, for the rater study too
    report.py            summary -> table.py, plots.py, html.py

Only nvcodec's public interface is used. `docs/benchmark.md` tells the protocol.
"""
