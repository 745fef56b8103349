"""Backgrounds: what stands still, told once more."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import bitstream
import nvcodec
from nvcodec import EncodeOptions
from nvcodec.cli.app import run
from nvcodec.codec.background import BackgroundFinder
from nvcodec.codec.covering import covered
from nvcodec.video.color import ColorTags
from nvcodec.video.reader import open_video
from nvcodec.video.writer import VideoWriter
from tests.codec.test_round_trip import times

RGB = NDArray[np.uint8]


def write(path: Path, frames: list[RGB]) -> Path:
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width, height, Fraction(25), Fraction(1, 25),
                     ColorTags(1, 1, 1, False), crf=0) as out:
        for i, frame in enumerate(frames):
            out.write(frame, i, 1)
    return path


@pytest.fixture(scope="module")
def real(carphone: Path) -> list[RGB]:
    with open_video(carphone) as video:
        return [np.ascontiguousarray(f.rgb[:96, :112]) for f in islice(video.frames(), 33)]


@pytest.fixture(scope="module")
def still(real: list[RGB], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real picture that stands still, over which a grey square passes."""
    frames = []
    for i in range(33):
        frame = real[0].copy()
        frame[32:64, 3 * i:3 * i + 24] = 128
        frames.append(frame)
    return write(tmp_path_factory.mktemp("still") / "a.mkv", frames)


@pytest.fixture(scope="module")
def coded(still: Path) -> Path:
    """It at qp 40, in segments of 17 frames."""
    nvcodec.encode(still, still.with_suffix(".mvt"), EncodeOptions(qp=40, spacing=1, keyint=17))
    return still.with_suffix(".mvt")


def shown(path: Path, **part: float) -> list[RGB]:
    with nvcodec.open(path) as video:
        return [f.rgb.copy() for f in video.frames(**part)]


def error(path: Path, source: Path) -> float:
    with open_video(source) as video:
        pairs = zip(shown(path), (f.rgb for f in video.frames()), strict=True)
        return float(np.mean([np.square(a.astype(float) - b).mean() for a, b in pairs]))


def test_what_stands_still_is_told_and_pictures_are_nearer(
        still: Path, coded: Path, tmp_path: Path) -> None:
    nvcodec.encode(still, tmp_path / "b.mvt", EncodeOptions(
        qp=40, spacing=1, keyint=17, background=False))
    with bitstream.Reader(coded) as reader, bitstream.Reader(tmp_path / "b.mvt") as plain:
        assert (reader.header.version, plain.header.version) == (6, 1)
        for a, b in zip(reader.iter_segments(), plain.iter_segments(), strict=True):
            assert a.background and not b.background
    assert error(coded, still) < 0.6 * error(tmp_path / "b.mvt", still)


def test_tokens_of_what_will_be_covered_are_spared(still: Path, tmp_path: Path) -> None:
    """Where signs are chosen by cost; else tokens know nothing of backgrounds."""
    sizes, errors = {}, {}
    for name, options in {
        "spared": EncodeOptions(qp=20, spacing=1),
        "plain": EncodeOptions(qp=20, spacing=1, background=False),
        "as they are": EncodeOptions(qp=20, spacing=1, rdo=False),
        "plain as they are": EncodeOptions(qp=20, spacing=1, rdo=False, background=False),
    }.items():
        path = tmp_path / f"{name}.mvt"
        nvcodec.encode(still, path, options)
        with bitstream.Reader(path) as reader:
            sizes[name] = [len(s.payload) for s in reader.iter_segments()]
        errors[name] = error(path, still)
    assert sizes["as they are"] == sizes["plain as they are"]
    assert sum(sizes["spared"]) < 0.9 * sum(sizes["plain"])
    assert errors["spared"] < 1.1 * errors["as they are"]


@pytest.fixture(scope="module")
def panned(carphone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A window that goes over a real picture, where a grey square passes."""
    with open_video(carphone) as video:
        wide = next(iter(video.frames())).rgb
    frames = []
    for i in range(33):
        frames.append(wide[i // 2:120 + i // 2, 3 * i // 2:128 + 3 * i // 2].copy())
        frames[-1][40:64, 3 * i:3 * i + 16] = 128
    return write(tmp_path_factory.mktemp("panned") / "a.mkv", frames)


def test_a_background_follows_a_camera(panned: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, background in (("a", True), ("b", False)):
        report = nvcodec.encode(panned, tmp_path / f"{name}.mvt", EncodeOptions(
            qp=24, spacing=1, keyint=33, background=background, verify=True))
        sizes[name] = report.file_bytes - report.background_bytes
    with bitstream.Reader(tmp_path / "a.mvt") as reader:
        segment = reader.read_segment(0)
        found = bitstream.background_of(segment, reader.header)
    assert found is not None and found.moves is not None
    expected = 16 * np.array([[3 * t // 2, t // 2] for t in range(33)])
    gone = expected[8] - expected  # the picture goes the other way
    off = np.abs(found.moves[:33].astype(int).mean(1) - gone)
    assert off.max() < 12
    assert error(tmp_path / "a.mvt", panned) < 0.6 * error(tmp_path / "b.mvt", panned)
    assert sizes["a"] < 0.98 * sizes["b"]  # tokens rely on it once it has paid for itself
    part, whole = shown(tmp_path / "a.mvt", start=0.8, duration=0.2), shown(tmp_path / "a.mvt")
    for a, b in zip(part, whole[20:], strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("spacing", [0.5, 2])
def test_moves_of_every_spacing(panned: Path, tmp_path: Path, spacing: float,
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nvcodec.codec.background.DECIBELS", ((1.0, 0.0),))
    nvcodec.encode(panned, tmp_path / "a.mvt", EncodeOptions(
        qp=10, spacing=spacing, duration=1, verify=True))
    with bitstream.Reader(tmp_path / "a.mvt") as reader:
        found = bitstream.background_of(reader.read_segment(0), reader.header)
    assert found is not None and found.moves is not None
    assert len(found.moves) == {0.5: 25, 2: 13}[spacing]
    # From the reference, which is frame 4 or 16, to frame 24.
    gone = (-30, -10) if spacing == 0.5 else (-12, -4)
    assert np.abs(found.moves[-1].mean(0) / 16 - gone).max() < 1


def test_one_that_gains_too_little_for_its_bits_is_not_told(
        panned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nvcodec.codec.background.DECIBELS", ((1.0, 50.0),))
    report = nvcodec.encode(panned, tmp_path / "a.mvt", EncodeOptions(qp=24, spacing=1))
    assert report.background_bytes == 0


def test_what_passes_is_seen_before_it(still: Path, coded: Path) -> None:
    with open_video(still) as video:
        sources = [f.rgb for f in video.frames()]
    for source, made in list(zip(sources, shown(coded), strict=True))[4:]:
        square = np.all(source == 128, axis=-1)
        inside = np.abs(made[square].astype(float) - 128).mean()
        assert inside < 25


def test_what_moves_has_none(real: list[RGB], tmp_path: Path) -> None:
    frames = list(np.random.default_rng(3).integers(0, 256, (13, 96, 112, 3), dtype=np.uint8))
    nvcodec.encode(write(tmp_path / "a.mkv", frames), tmp_path / "a.mvt", EncodeOptions(qp=40))
    with bitstream.Reader(tmp_path / "a.mvt") as reader:
        assert not any(s.background for s in reader.iter_segments())
    nvcodec.encode(write(tmp_path / "b.mkv", real[:1]), tmp_path / "b.mvt", EncodeOptions(qp=40))
    with bitstream.Reader(tmp_path / "b.mvt") as reader:  # what is seen once may be anything
        assert not reader.read_segment(0).background


@pytest.mark.parametrize("spacing", [0.5, 2])
@pytest.mark.parametrize("count", [3, 33])
def test_every_spacing_and_length(real: list[RGB], tmp_path: Path, spacing: float,
                                  count: int) -> None:
    source = write(tmp_path / "a.mkv", [real[0][:67, :51]] * count)
    report = nvcodec.encode(source, tmp_path / "a.mvt", EncodeOptions(
        qp=10, spacing=spacing, verify=True))
    assert report.frames == count
    assert bool(report.background_bytes) == (count == 33)
    nvcodec.decode(tmp_path / "a.mvt", tmp_path / "b.mkv")
    assert times(tmp_path / "b.mkv") == times(source)
    assert nvcodec.verify(tmp_path / "a.mvt")["ok"]


def test_parts_are_those_of_the_whole(coded: Path) -> None:
    whole = shown(coded)
    for number, start in ((4, 0.16), (20, 0.8)):
        part = shown(coded, start=start, duration=0.2)
        assert len(part) == 5
        for a, b in zip(part, whole[number:], strict=False):
            np.testing.assert_array_equal(a, b)


def test_tokens_go_there_and_back(coded: Path, tmp_path: Path) -> None:
    nvcodec.export_tokens(coded, tmp_path / "a.npz")
    nvcodec.import_tokens(tmp_path / "a.npz", tmp_path / "b.mvt")
    assert coded.read_bytes() == (tmp_path / "b.mvt").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as held:
        arrays = dict(held)
    assert arrays["background_bytes"].sum() == arrays["background"].size > 0
    for wrong in ([1], [1, 2], arrays["background_bytes"][:1]):
        forged = arrays | {"background_bytes": np.array(wrong, np.uint32)}
        np.savez(tmp_path / "c.npz", **forged)
        with pytest.raises(nvcodec.CorruptFileError, match="background"):
            nvcodec.import_tokens(tmp_path / "c.npz", tmp_path / "c.mvt", force=True)


def test_a_damaged_background_is_a_lost_segment(coded: Path, tmp_path: Path) -> None:
    """Under a whole checksum: what no other check sees."""
    with bitstream.Reader(coded) as reader, (tmp_path / "b.mvt").open("wb") as sink, \
            bitstream.Writer(sink, reader.header) as writer:
        for number, s in enumerate(reader.iter_segments()):
            background = b"\xff" + s.background[1:] if number else s.background
            writer.write_segment(bitstream.Segment(
                s.pts, s.payload, s.qp, s.last_duration, s.spacing, background))
    with pytest.raises(nvcodec.CorruptFileError, match=r"frames 17-32.*background"):
        nvcodec.verify(tmp_path / "b.mvt")
    with pytest.raises(nvcodec.CorruptFileError, match=r"frames 17-32.*background"):
        nvcodec.decode(tmp_path / "b.mvt", tmp_path / "b.mkv")
    report = nvcodec.decode(tmp_path / "b.mvt", tmp_path / "b.mkv",
                            nvcodec.DecodeOptions(conceal=True))
    assert (report.frames, report.concealed) == (33, 16)
    report = nvcodec.decode(tmp_path / "b.mvt", tmp_path / "c.mkv",
                            nvcodec.DecodeOptions(recover=True))
    assert report.frames == 17


def test_the_command_tells_of_it(still: Path, tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    common = ["encode", str(still), "-o", str(tmp_path / "a.mvt"), "--qp", "40", "-f", "--json",
              "--quiet", "--duration", "0.7"]
    assert run(common) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["background_bytes"] < told["file_bytes"]
    assert run([*common, "--no-background"]) == 0
    assert json.loads(capsys.readouterr().out)["background_bytes"] == 0


def test_pictures_before_the_reference_wait_for_it() -> None:
    """A grey reference, where the source has texture; pictures that are like it show it."""
    finder = BackgroundFinder(0, 100)
    reference = torch.full((32, 32, 3), 60, dtype=torch.uint8)
    source = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8))
    for _ in range(9):
        finder.add(source[None], reference)
    background = finder.find()
    assert background is not None and background.turn == 2
    background = replace(background, shown=None)
    other = torch.full_like(reference, 200)
    seen: list[int] = []

    def pictures() -> object:
        for i, picture in enumerate((reference + 1, other, reference, reference, other)):
            seen.append(i)
            yield picture

    made = covered(pictures(), background, 1)  # type: ignore[arg-type]
    assert like(next(made), source) and seen == [0, 1, 2]
    rest = list(made)
    assert torch.equal(rest[0], other) and torch.equal(rest[-1], other)
    assert like(rest[1], source) and like(rest[2], source)


def like(picture: torch.Tensor, source: torch.Tensor) -> bool:
    """Luma is told to within a step; colours at half the size, of noise, are not."""
    planes = [p.float() @ torch.tensor([0.2126, 0.7152, 0.0722]) for p in (picture, source)]
    return bool((planes[0] - planes[1]).abs().mean() < 10)


def test_what_moves_is_not_spared() -> None:
    """Of a picture that stands still, but for its right third; after the fourth turn."""
    finder, rng = BackgroundFinder(0, 4), np.random.default_rng(1)
    source = torch.from_numpy(rng.integers(0, 256, (96, 96, 3), np.uint8))
    decoded = torch.full_like(source, 60)
    for turn in range(4):
        assert finder.spared(source[None]) is None
        finder.add(source[None].expand(4 if turn else 1, -1, -1, -1), decoded)
    moving = source.clone()
    moving[:, 64:] = torch.from_numpy(rng.integers(0, 256, (96, 32, 3), np.uint8))
    spared = finder.spared(torch.stack((source, moving)))
    assert spared is not None and spared.shape == (12, 12)
    assert spared[:, :7].all() and not spared[:, 7:].any()
    still = finder.spared(source[None])
    assert still is not None and still.all()


@pytest.mark.parametrize(("spent", "most", "relies", "is_told"), [
    (1 << 20, 33, True, True), (50, 33, False, False), (1 << 20, 300, False, True)])
def test_tokens_rely_on_one_that_moves_when_it_has_paid_and_lasts(
        panned: Path, spent: int, most: int, relies: bool, is_told: bool) -> None:
    with open_video(panned) as video:
        frames = torch.from_numpy(np.stack([f.rgb for f in video.frames()]))
    finder = BackgroundFinder(24, 4, most=most)
    for turn in (frames[:1], *frames[1:].split(4)):
        spared = finder.spared(turn)
        blurred = torch.nn.functional.avg_pool2d(turn[-1].permute(2, 0, 1).float(), 7, 1, 3)
        finder.add(turn, blurred.permute(1, 2, 0).byte(), spent)
    assert (spared is not None and bool(spared.any())) == relies
    assert (finder.find(spent) is not None) == is_told
