"""Whether every frame of a segment is coded, or every other one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import nvcodec
from nvcodec import EncodeOptions
from nvcodec.codec import chooser
from nvcodec.codec.chooser import LEAST_QP, Chooser, equal_rate, tried_frames
from nvcodec.codec.coders import coder_of
from nvcodec.models import registry
from nvcodec.video.info import Frame
from tests.models.scenes import view


def frames(count: int, speed: int, size: int = 96) -> list[Frame]:
    """A scene that moves by `speed` pixels from frame to frame, forth and back."""
    places = [abs(i * speed % 32 - 16) for i in range(count)]
    return [Frame(((view(x, 0, size)[0].clamp(-1, 1) + 1) * 127.5).byte().numpy(), i, 1)
            for i, x in enumerate(places)]


@pytest.fixture(scope="module")
def choosing() -> Chooser:
    release = registry.find("s")
    return Chooser(registry.load(release, torch.device("cpu")), coder_of(release, "learned"),
                   release.rdo)


def test_a_gain_is_measured_and_a_jump_loses_by_it(choosing: Chooser) -> None:
    """A slow pan says what is between two frames; noise that is new each time does not."""
    pan = torch.from_numpy(np.stack([f.rgb for f in frames(17, 1)]))
    noise = torch.randint(0, 256, pan.shape, dtype=torch.uint8,
                          generator=torch.Generator().manual_seed(0))
    assert choosing.gain(pan, 50.0) > choosing.gain(noise, 50.0) + 0.1
    assert choosing.gain(pan, 50.0) == choosing.gain(pan, 50.0)


def test_an_answer_is_kept_for_the_segment_and_near_qp(monkeypatch: pytest.MonkeyPatch,
                                                        choosing: Chooser) -> None:
    asked: list[float] = []

    def gain(self: Chooser, pixels: torch.Tensor, qp: float) -> float:
        assert pixels.shape == (17, 96, 96, 3)
        asked.append(qp)
        return 1.0 if qp == 50.0 else -1.0

    monkeypatch.setattr(Chooser, "gain", gain)
    choosing._known.clear()
    clip = frames(20, 1)
    assert choosing.choose(clip, 49.0) == choosing.choose(clip, 49.0) == (equal_rate(49.0), 2)
    assert choosing.choose(clip, 52.5) == (equal_rate(52.5), 2)
    assert asked == [50.0]
    assert choosing.choose(clip, 63.0) == (63.0, 1)
    assert choosing.choose(frames(17, 1)[1:] + frames(18, 1)[-1:], 50.0)[1] == 2
    assert asked == [50.0, 57.0, 50.0]


def test_where_nothing_is_tried(monkeypatch: pytest.MonkeyPatch, choosing: Chooser) -> None:
    monkeypatch.setattr(Chooser, "gain", lambda *_: pytest.fail("was tried"))
    assert choosing.choose(frames(20, 1), LEAST_QP - 0.1) == (LEAST_QP - 0.1, 1)
    assert choosing.choose(frames(16, 1), 60.0) == (60.0, 1)


def test_equal_rates_rise_with_qp_and_stay_on_the_scale() -> None:
    scale = [equal_rate(q / 4) for q in range(4 * int(LEAST_QP), 4 * 63 + 1)]
    assert all(a < b for a, b in pairwise(scale))
    assert scale[0] >= 0 and scale[-1] <= 63
    assert all(other <= qp for qp, other in chooser.EQUAL_RATES)


@pytest.mark.parametrize(("size", "count"), [((640, 360), 25), ((1920, 1080), 17),
                                             ((3840, 2160), 0), ((16, 16), 25)])
def test_frames_that_wait_are_few(size: tuple[int, int], count: int) -> None:
    assert tried_frames(*size) == count
    assert count * 3 * size[0] * size[1] <= chooser.WAITING_BYTES


def test_a_file_takes_what_is_chosen(monkeypatch: pytest.MonkeyPatch, carphone: Path,
                                     tmp_path: Path) -> None:
    """Both ways round, with the model that comes with the package."""
    for gain, spacing, qp in ((1.0, 2, round(equal_rate(50.0))), (-1.0, 1, 50)):
        monkeypatch.setattr(Chooser, "gain", lambda *_, gain=gain: gain)
        report = nvcodec.encode(carphone, tmp_path / "a.mvt",
                                EncodeOptions(qp=50, duration=0.6, force=True))
        assert (report.spacing, report.qp, report.frames) == ((spacing,), (qp,), 18)
        with nvcodec.open(tmp_path / "a.mvt") as video:
            assert sum(1 for _ in video.frames()) == 18


def test_the_best_qualities_code_every_frame(bikes: Path, tmp_path: Path) -> None:
    """So do segments too short to try; their files are of version 1."""
    for wished in (EncodeOptions(duration=0.2), EncodeOptions(qp=60, keyint=5, duration=0.2)):
        report = nvcodec.encode(bikes, tmp_path / "a.mvt", replace(wished, force=True))
        assert report.spacing == (1,)
        assert nvcodec.inspect(tmp_path / "a.mvt")["version"] == 1
