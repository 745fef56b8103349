"""Segments of which some frames are coded and the others made from them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bitstream
import nvcodec
from nvcodec import EncodeOptions
from nvcodec.cli.app import run
from nvcodec.codec.spacing import all_frames, coded_frames
from nvcodec.errors import UsageError
from nvcodec.models import precision, registry
from nvcodec.models.between import pictures_between
from nvcodec.models.tokenizer import DecoderStream
from nvcodec.video.info import Frame
from tests.codec.test_round_trip import make_clip, times

SPACINGS = st.sampled_from([0.5, 1, 2, 4])


def frame(pts: int) -> Frame:
    return Frame(np.full((8, 8, 3), pts % 256, np.uint8), pts, 1)


def picture(level: float) -> torch.Tensor:
    return torch.full((8, 8, 3), round(level), dtype=torch.uint8)


def coded(folder: Path, count: int, spacing: float, keyint: int = 200) -> Path:
    """A `.mvt` file of so many frames; its source is a.mkv beside it."""
    folder.mkdir(exist_ok=True)
    source = make_clip(folder / "a.mkv", [40 * i for i in range(count)])
    nvcodec.encode(source, folder / "a.mvt", EncodeOptions(
        model="tiny", keyint=keyint, spacing=spacing))
    return folder / "a.mvt"


def shown_and_made(file: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All frames of a file of one segment, and all pictures that its tokens decode to."""
    with nvcodec.open(file) as video:
        pictures = [torch.from_numpy(f.rgb.copy()) for f in video.frames()]
        (grid,) = video.tokens()
    stream = DecoderStream(precision.load(registry.find("tiny"), torch.device("cpu")), grid.qp,
                           48, 64)
    return torch.stack(pictures), stream.push(torch.from_numpy(grid.tokens.astype(np.int32)))


@settings(deadline=None)
@given(count=st.integers(1, 70), spacing=st.sampled_from([1, 2, 4]))
def test_the_first_each_spacing_th_and_the_last_are_coded(count: int, spacing: int) -> None:
    seen: list[int] = []
    chosen = [f.pts for f in coded_frames(map(frame, range(count)), spacing,
                                          lambda f: seen.append(f.pts))]
    assert chosen == sorted({*range(0, count, spacing), count - 1})
    assert seen == list(range(count))


def test_pictures_between_frames_are_coded_too() -> None:
    """Each when the frame after it is there; their times are those of that frame."""
    seen: list[int] = []
    made = coded_frames(map(frame, (0, 10, 40)), 0.5, lambda f: seen.append(f.pts))
    assert next(made).pts == 0 and seen == [0]
    assert [(int(f.rgb[4, 4, 0]), f.pts) for f in made] == [(5, 10), (10, 10), (25, 40), (40, 40)]
    assert seen == [0, 10, 40]
    assert [f.pts for f in coded_frames([frame(3)], 0.5, lambda _: None)] == [3]


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(1, 9), max_size=20), spacing=SPACINGS)
def test_every_frame_is_where_its_time_is(steps: list[int], spacing: float) -> None:
    """Flat pictures whose grey is their time: those between are told apart by theirs."""
    pts = [0]
    for step in steps:
        pts.append(pts[-1] + step)
    scale = 200 / max(pts[-1], 1)
    shown = [picture(scale * t) for i, t in enumerate(pts)
             if i % spacing == 0 or i == len(pts) - 1]
    source = iter([*shown, *shown[-1:] * 3])  # decoders may give the last more than once
    made = [int(p[4, 4, 0]) for p in all_frames(source, pts, spacing)]
    assert len(made) == len(pts)
    assert made == pytest.approx([scale * t for t in pts], abs=1.1)
    assert len(list(source)) == 3


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("spacing", [0.5, 2, 4])
@pytest.mark.parametrize("keyint", [1, 2, 6, 200])
def test_count_and_times_come_back(spacing: float, keyint: int, tmp_path: Path) -> None:
    pts = [500 + 40 * i + 7 * (i % 3) for i in range(23)]
    source = make_clip(tmp_path / "a.mp4", pts, (51, 67))
    report = nvcodec.encode(source, tmp_path / "a.mvt", EncodeOptions(
        model="tiny", keyint=keyint, spacing=spacing, verify=True))
    assert set(report.spacing) == {spacing} and report.frames == 23
    nvcodec.decode(tmp_path / "a.mvt", tmp_path / "b.mp4")
    assert times(tmp_path / "b.mp4") == times(source)
    assert nvcodec.verify(tmp_path / "a.mvt")["ok"]
    facts = nvcodec.inspect(tmp_path / "a.mvt")
    assert facts["version"] == (2 if spacing > 1 else 3)
    whole, rest = divmod(23, min(keyint, 23))
    counts = [min(keyint, 23)] * whole + [rest] * (rest > 0)
    steps = int(2 * spacing)  # of half a frame
    assert facts["coded_frames"] == sum(len({*range(0, 2 * n - 1, steps), 2 * n - 2})
                                        for n in counts)


@pytest.mark.usefixtures("tiny")
def test_coded_frames_come_from_tokens_and_others_from_them(tmp_path: Path) -> None:
    pictures, made = shown_and_made(coded(tmp_path, 14, spacing=4))
    for i, place in enumerate((0, 4, 8, 12, 13)):
        assert torch.equal(pictures[place], made[i])
    others = pictures_between(made[1], made[2], [0.25, 0.5, 0.75])
    assert torch.equal(pictures[5:8], others)


@pytest.mark.usefixtures("tiny")
def test_pictures_between_frames_are_not_shown(tmp_path: Path) -> None:
    pictures, made = shown_and_made(coded(tmp_path, 6, spacing=0.5))
    off = (pictures.int() - made[0:11:2].int()).abs()  # sums over fewer frames may round
    assert off.max() <= 1 and off.float().mean() < 0.01


@pytest.mark.usefixtures("tiny")
def test_a_part_of_a_spaced_file_is_that_part(tmp_path: Path) -> None:
    with nvcodec.open(coded(tmp_path, 30, spacing=2, keyint=11)) as video:
        whole = [(f.pts, f.rgb.copy()) for f in video.frames()]
        part = [(f.pts, f.rgb.copy()) for f in video.frames(0.5, 0.4)]
        grids = [len(g.tokens) for g in video.tokens()]
        assert [g.spacing for g in video.tokens()] == [2, 2, 2]
    assert grids == [1 + 2, 1 + 2, 1 + 1]  # 6, 6 and 5 coded frames, four to a latent frame
    wanted = [(t, p) for t, p in whole if Fraction(1, 2) <= t * video.time_base < Fraction(9, 10)]
    assert [t for t, _ in part] == [t for t, _ in wanted]
    for (_, a), (_, b) in zip(part, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("tiny")
def test_tokens_of_a_spaced_file_go_there_and_back(tmp_path: Path) -> None:
    for spacing in (0.5, 4):
        source = coded(tmp_path / str(spacing), 14, spacing, keyint=9)
        nvcodec.export_tokens(source, tmp_path / "a.npz", force=True)
        nvcodec.import_tokens(tmp_path / "a.npz", tmp_path / "b.mvt", force=True)
        assert source.read_bytes() == (tmp_path / "b.mvt").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as held:
        arrays = dict(held)
    assert arrays["version"].tolist() == [2] and arrays["spacing"].tolist() == [4, 4]
    for spacing, says in (([4], "not of one number"), ([4, 3], "spacing"), ([8, 8], "spacing")):
        np.savez(tmp_path / "c.npz", **(arrays | {"spacing": np.array(spacing, np.uint8)}))
        with pytest.raises(nvcodec.CorruptFileError, match=says):
            nvcodec.import_tokens(tmp_path / "c.npz", tmp_path / "c.mvt", force=True)


@pytest.mark.usefixtures("tiny")
def test_lost_segments_of_a_spaced_file_are_concealed(tmp_path: Path) -> None:
    with bitstream.Reader(coded(tmp_path, 22, spacing=2, keyint=8)) as reader:
        entry = reader.segments[1]
    data = bytearray((tmp_path / "a.mvt").read_bytes())
    data[entry.offset + entry.size] ^= 1
    (tmp_path / "b.mvt").write_bytes(data)
    report = nvcodec.decode(tmp_path / "b.mvt", tmp_path / "b.mkv",
                            nvcodec.DecodeOptions(conceal=True))
    assert (report.frames, report.concealed) == (22, 8)
    assert times(tmp_path / "b.mkv") == times(tmp_path / "a.mkv")


@pytest.mark.usefixtures("tiny")
def test_a_wished_rate_is_met_with_a_spacing(scalable: str, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", [40 * i for i in range(21)], (96, 128))
    middle = nvcodec.encode(source, tmp_path / "a.mvt", EncodeOptions(
        model=scalable, qp=30, spacing=2)).bpp
    report = nvcodec.encode(source, tmp_path / "b.mvt", EncodeOptions(
        model=scalable, bpp=middle, spacing=2))
    assert report.bpp == pytest.approx(middle, rel=0.05)


def test_the_command_knows_spacings(tiny: str, tmp_path: Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    source = make_clip(tmp_path / "a.mkv", [40 * i for i in range(6)])
    common = ["encode", str(source), "-o", str(tmp_path / "a.mvt"), "--model", tiny, "--quiet",
              "-f", "--json"]
    for spacing in (2, 0.5):
        assert run([*common, "--spacing", str(spacing)]) == 0
        assert json.loads(capsys.readouterr().out)["spacing"] == [spacing]
    assert run(common) == 0  # models without motion code every frame
    assert json.loads(capsys.readouterr().out)["spacing"] == [1]
    assert run(["info", "--json", str(tmp_path / "a.mvt")]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert run([*common, "--spacing", "3"]) == 2
    with pytest.raises(UsageError, match=r"not one of 0\.5, 1, 2, 4"):
        EncodeOptions(spacing=3)
