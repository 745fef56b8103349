"""Whether every frame of a segment is coded, every other one, or pictures between them too."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nvcodec
from nvcodec import EncodeOptions
from nvcodec.codec import chooser
from nvcodec.codec.chooser import EQUAL_RATES, FINER, FINEST_QP, Chooser, equal_rate, tried_frames
from nvcodec.codec.coders import coder_of
from nvcodec.codec.setup import Setup
from nvcodec.errors import UsageError
from nvcodec.models import registry
from nvcodec.video.info import Frame
from nvcodec.video.reader import open_video
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
    assert choosing.gain(pan, 50.0, 2) > choosing.gain(noise, 50.0, 2) + 0.1
    assert choosing.gain(pan, 50.0, 2) == choosing.gain(pan, 50.0, 2)


def test_a_gain_of_pictures_between_is_measured(choosing: Chooser) -> None:
    """They are worth more in a fast pan than in a slow one."""
    slow, fast = (torch.from_numpy(np.stack([f.rgb for f in frames(17, speed)]))
                  for speed in (1, 8))
    assert choosing.gain(fast, 8.0, 0.5) > choosing.gain(slow, 8.0, 0.5) + 0.3


def test_an_answer_is_kept_for_the_segment_and_near_qp(monkeypatch: pytest.MonkeyPatch,
                                                        choosing: Chooser) -> None:
    asked: list[tuple[float, float]] = []

    def gain(self: Chooser, pixels: torch.Tensor, qp: float, spacing: float) -> float:
        assert pixels.shape == (17, 96, 96, 3)
        asked.append((qp, spacing))
        return 1.0 if (qp, spacing) in ((50.0, 2), (8.0, 0.5)) else -1.0

    monkeypatch.setattr(Chooser, "gain", gain)
    choosing._known.clear()
    clip = frames(20, 1)
    assert choosing.choose(clip, 49.0) == choosing.choose(clip, 49.0) == (equal_rate(49.0, 2), 2)
    assert choosing.choose(clip, 52.5) == (equal_rate(52.5, 2), 2)
    assert asked == [(50.0, 2)]
    assert choosing.choose(clip, 63.0) == (63.0, 1)
    assert choosing.choose(clip, 19.9) == (equal_rate(19.9, 0.5), 0.5)
    assert choosing.choose(clip, 41.9) == (41.9, 1)
    assert choosing.choose(frames(17, 1)[1:] + frames(18, 1)[-1:], 50.0)[1] == 2
    assert asked == [(50.0, 2), (57.0, 2), (8.0, 0.5), (50.0, 2)]


def test_what_counts_as_a_gain_depends_on_qp(monkeypatch: pytest.MonkeyPatch,
                                              choosing: Chooser) -> None:
    """Near qp 42, where fewer frames cannot spend the bits, more has to be gained by them."""
    gains = {44.0: 0.05, 50.0: 0.05, 57.0: 0.005, 8.0: 0.03}
    monkeypatch.setattr(Chooser, "gain", lambda _self, _pixels, qp, _spacing: gains[qp])
    choosing._known.clear()
    clip = frames(20, 1)
    assert [choosing.choose(clip, qp)[1] for qp in (8.0, 45.0, 50.0, 60.0)] == [1, 1, 2, 2]
    choosing._known.clear()


def test_where_nothing_is_tried(monkeypatch: pytest.MonkeyPatch, choosing: Chooser) -> None:
    monkeypatch.setattr(Chooser, "gain", lambda *_: pytest.fail("was tried"))
    assert choosing.choose(frames(20, 1), -0.1) == (pytest.approx(FINER[-1][1], abs=0.2), 0.5)
    assert choosing.choose(frames(3, 1), FINEST_QP) == (0.0, 0.5)
    assert choosing.choose(frames(16, 1), 60.0) == (60.0, 1)
    assert choosing.choose(frames(20, 1), 20.0) == (20.0, 1)


@pytest.mark.parametrize("spacing", [0.5, 1, 2])
def test_equal_rates_rise_with_qp_and_stay_on_the_scale(spacing: float) -> None:
    first, last = (int(EQUAL_RATES[spacing][end][0]) for end in (0, -1))
    scale = [equal_rate(q / 4, spacing) for q in range(4 * first, 4 * last + 1)]
    assert all(a < b for a, b in pairwise(scale))
    assert scale[0] >= 0 and scale[-1] <= 63
    assert all((taken - asked) * (1 - spacing) >= 0 for asked, taken in EQUAL_RATES[spacing])


@pytest.mark.parametrize(("size", "count"), [((640, 360), 25), ((1920, 1080), 17),
                                             ((3840, 2160), 0), ((16, 16), 25)])
def test_frames_that_wait_are_few(size: tuple[int, int], count: int) -> None:
    assert tried_frames(*size) == count
    assert count * 3 * size[0] * size[1] <= chooser.WAITING_BYTES


def test_a_file_takes_what_is_chosen(monkeypatch: pytest.MonkeyPatch, carphone: Path,
                                     tmp_path: Path) -> None:
    """Both ways round, with the model that comes with the package."""
    for gain, spacing, qp in ((1.0, 2, round(equal_rate(50.0, 2))), (-1.0, 1, 50)):
        monkeypatch.setattr(Chooser, "gain", lambda *_, gain=gain: gain)
        report = nvcodec.encode(carphone, tmp_path / "a.mvt",
                                EncodeOptions(qp=50, duration=0.6, force=True))
        assert (report.spacing, report.qp, report.frames) == ((spacing,), (qp,), 18)
        with nvcodec.open(tmp_path / "a.mvt") as video:
            assert sum(1 for _ in video.frames()) == 18


def test_frames_wait_only_where_something_is_tried(bikes: Path) -> None:
    """At the default qp, and where the answer is known, the first one is coded as it comes."""
    with open_video(str(bikes)) as video:
        info = video.info
    for qp, taken in ((32, 0), (-4, 0), (8, 25), (50, 25)):
        setup = Setup(info, EncodeOptions(qp=qp))
        setup.__dict__["chooser"] = SimpleNamespace(choose=lambda _, asked: (asked, 1))
        source = iter(frames(30, 1))
        setup._spaced(source, qp)
        assert len(list(source)) == 30 - taken


def test_short_segments_code_every_frame(bikes: Path, tmp_path: Path) -> None:
    """Files are of the lowest version that has what could have been chosen."""
    for qp, keyint, background, version in ((60, 5, False, 1), (60, 161, False, 2),
                                            (32, 161, False, 1), (5, 161, False, 3),
                                            (32, 161, True, 6)):
        wished = EncodeOptions(qp=qp, keyint=keyint, background=background, duration=0.2,
                               force=True)
        assert nvcodec.encode(bikes, tmp_path / "a.mvt", wished).spacing == (1, )
        assert nvcodec.inspect(tmp_path / "a.mvt")["version"] == version


def test_the_best_quality_codes_more_than_is_shown(carphone: Path, tmp_path: Path) -> None:
    """Rates above those of every frame can be wished too; below 0, qp needs a choice."""
    rates = {}
    for qp in (-16, 0):
        report = nvcodec.encode(carphone, tmp_path / "a.mvt", EncodeOptions(
            qp=qp, keyint=17, duration=0.2, force=True))
        assert report.spacing == ((0.5,) if qp < 0 else (1,))
        rates[qp] = report.bpp
    middle = (rates[-16] + rates[0]) / 2
    report = nvcodec.encode(carphone, tmp_path / "a.mvt", EncodeOptions(
        bpp=middle, keyint=17, duration=0.2, force=True))
    assert report.spacing == (0.5,) and report.bpp == pytest.approx(middle, rel=0.02)
    for wished, says in (({"spacing": 1}, "not in 0..63"), ({"keyint": 5}, "cannot be had")):
        with pytest.raises(UsageError, match=says):
            nvcodec.encode(carphone, tmp_path / "b.mvt", EncodeOptions(
                **({"qp": -1, "duration": 0.2} | wished)))
