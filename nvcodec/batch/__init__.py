"""Folders of videos and pictures to folders of `.mvt` files.

    files.py      which files there are, and what their outputs are called
    manifest.py   what is done, kept in the output folder
    work.py       one file's work, wherever it is done
    local.py      engine: processes of this machine
    on_ray.py     engine: a Ray cluster, which also shares out the segments of a long file
    run.py        `encode_folder`, which joins them
"""
