from __future__ import annotations

import json

from benchmarks.codecs.nvcodec import Nvcodec
from benchmarks.process import Runner
from nvcodec.video.reader import open_video


def test_nvcodec_goes_through_files_in_processes_of_its_own(tiny, make_clip, tmp_path):
    codec = Nvcodec(1, tiny, "cpu")
    clip, stream, decoded = make_clip(96, 64, 2), tmp_path / "a.mvt", tmp_path / "a.mkv"
    runner, env = Runner(), codec.environment()
    assert codec.model in codec.version() and "weights" in codec.version()
    coded = runner.run(codec.encode_argv(clip, stream, 40), env)
    back = runner.run([*codec.decode_argv(stream, decoded), "--repeat", "2"], env)
    assert 0 < codec.inner_seconds(coded.stdout) < coded.seconds
    assert json.loads(back.stdout)["frames"] == 2
    assert len(json.loads(back.stdout)["call_seconds"]) == 2
    with open_video(decoded) as video:
        assert (video.info.width, video.info.height) == (96, 64)
        assert len(list(video.frames())) == 2
