"""Tokens to `.npz` and back: nothing is lost, and nothing forged gets through."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bitstream
import nvcodec
from bitstream.audio import parse_audio
from nvcodec.cli.app import run
from nvcodec.codec.recode import read_grids
from nvcodec.errors import CorruptFileError, NvcodecError, UnsupportedFileError
from tests.bitstream.bitstream_samples import make_file, make_header, make_tokens
from tests.codec.test_round_trip import make_clip

QUICK = settings(max_examples=40, deadline=None,
                 suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A file with META, audio between its segments and unequal steps; no network wrote it."""
    path = tmp_path / "a.mvt"
    path.write_bytes(make_file())
    return path


def arrays_of(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(path, allow_pickle=False) as held:
        return dict(held)


def exported(source: Path) -> dict[str, np.ndarray[Any, Any]]:
    nvcodec.export_tokens(source, source.with_suffix(".npz"), force=True)
    return arrays_of(source.with_suffix(".npz"))


def rebuilt(folder: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> Path:
    np.savez(folder / "changed.npz", **arrays)
    nvcodec.import_tokens(folder / "changed.npz", folder / "changed.mvt", force=True)
    return folder / "changed.mvt"


def test_the_arrays_are_those_of_the_file(raw: Path) -> None:
    held = exported(raw)
    with bitstream.Reader(raw) as reader:
        shapes = [reader.header.token_shape(s.frame_count) for s in reader.iter_segments()]
        pts = [t for s in reader.iter_segments() for t in s.pts]
        assert bitstream.Header.parse(held["head"].tobytes()) == reader.header
        assert held["qp"].tolist() == [s.qp for s in reader.segments]
        assert json.loads(held["meta"].tobytes()) == reader.meta
        ends = held["audio_bytes"].cumsum()
        records = [parse_audio(held["audio"][e - n:e].tobytes())
                   for e, n in zip(ends, held["audio_bytes"], strict=True)]
        assert records == list(reader.audio()) and held["audio_after"].tolist() == [0, 1, 2]
    grids = [make_tokens(shape, i) for i, shape in enumerate(shapes)]
    assert np.array_equal(held["tokens"], np.concatenate(grids))
    assert held["tokens"].dtype == np.uint32 and held["low"].dtype == np.uint16
    assert np.array_equal(held["low"], held["tokens"] % 512)
    assert np.array_equal(held["high"], held["tokens"] // 512)
    assert held["token_bounds"].tolist() == [0, 3, 6, 9]
    assert held["pts"].tolist() == pts and held["frame_bounds"].tolist() == [0, 9, 18, 27]
    assert held["last_duration"].tolist() == [3000] * 3
    assert held["time_base"].tolist() == [1, 90000]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("coder", ["none", "table", "learned"])
def test_every_coder_gives_the_same_bytes_back(coder: str, carphone: Path, tmp_path: Path) -> None:
    source, npz, back = (tmp_path / n for n in ("a.mvt", "a.npz", "b.mvt"))
    nvcodec.encode(carphone, source, nvcodec.EncodeOptions(
        model="tiny", coder=coder, keyint=3, duration=0.16))
    report = nvcodec.export_tokens(source, npz)
    assert (report.segments, report.frames, report.tokens) == (2, 5, 4 * 18 * 22)
    assert report.bytes == npz.stat().st_size
    again = nvcodec.import_tokens(npz, back)
    assert back.read_bytes() == source.read_bytes() and again.bytes == source.stat().st_size
    nvcodec.export_tokens(back, tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == npz.read_bytes()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("case", [
    ([0], (31, 45)), ([500, 510, 555, 700, 841], (51, 67)), ([40 * i for i in range(7)], (48, 64)),
], ids=["still", "vfr", "even"])
def test_times_and_odd_sizes(case: tuple[list[int], tuple[int, int]], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", *case)
    nvcodec.encode(clip, tmp_path / "a.mvt", nvcodec.EncodeOptions(
        model="tiny", keyint=4, coder="table"))
    held = exported(tmp_path / "a.mvt")
    base = Fraction(*held["time_base"].tolist())
    assert [t * base for t in held["pts"].tolist()] == [Fraction(t, 1000) for t in case[0]]
    assert rebuilt(tmp_path, held).read_bytes() == (tmp_path / "a.mvt").read_bytes()


def test_changed_tokens_are_coded(raw: Path, tmp_path: Path) -> None:
    """Either of the two forms is enough; where both are there they have to agree."""
    held = exported(raw)
    new = held["tokens"][::-1].copy()
    factors = {k: v[::-1] for k, v in held.items() if k in ("low", "high")}
    rest = {k: v for k, v in held.items() if k not in ("tokens", "low", "high")}
    for form in ({"tokens": new}, factors, factors | {"tokens": new}):
        target = rebuilt(tmp_path, rest | form)
        assert np.array_equal(np.concatenate([g for g, _ in read_grids(target)]), new)
    with pytest.raises(CorruptFileError, match="leave out the ones you did not change"):
        rebuilt(tmp_path, held | {"tokens": new})


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "pickle": ({"tokens": np.array([[[{}]]], object)}, "no whole npz data|is object"),
    "kind": ({"tokens": lambda t: t.astype(np.int64)}, "int64, not uint32"),
    "fortran": ({"tokens": lambda t: np.asfortranarray(t)}, "Fortran order"),
    "shape": ({"tokens": lambda t: t[:-1]}, r"shape \[8, 2, 4\] where \[9, 2, 4\]"),
    "wide": ({"tokens": lambda t: t | (1 << 18), "low": None, "high": None}, "above 262143"),
    "factor": ({"low": lambda t: t | 512, "tokens": None}, "above 511"),
    "half": ({"high": None}, "high is missing"),
    "none": ({"tokens": None, "low": None, "high": None}, "tokens is missing"),
    "bounds": ({"token_bounds": lambda b: b + 1}, "do not begin at 0"),
    "long": ({"frame_bounds": lambda b: b * 2**40}, "segment 0 has"),
    "negative": ({"frame_bounds": lambda b: -b}, "segment 0 has -9 frames"),
    "latents": ({"frame_bounds": lambda b: b // 2}, "token frames of segment 0"),
    "segments": ({"qp": lambda q: q[:2]}, "not of one number of segments"),
    "qp": ({"qp": lambda q: q + 60}, "qp"),
    "pts": ({"pts": lambda p: p[::-1].copy()}, "timestamps do not increase"),
    "duration": ({"last_duration": lambda d: -d}, "duration is negative"),
    "clock": ({"time_base": lambda b: b + 1}, "time_base is not that of head"),
    "head": ({"head": lambda h: h[:-1]}, "HEAD"),
    "big head": ({"head": np.zeros(4096, np.uint8)}, "not up to 1024 values"),
    "meta": ({"meta": np.frombuffer(b"[]", np.uint8)}, "META"),
    "audio place": ({"audio_after": lambda a: a + 9}, "audio_after"),
    "audio size": ({"audio_bytes": lambda a: a + 2**30}, "above 16777216 bytes"),
    "audio": ({"audio": lambda a: np.zeros_like(a)}, "AUDI"),
    "version": ({"version": np.array([bitstream.VERSION + 1], np.uint32)}, "token file version"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_arrays_are_refused_in_one_line(name: str, raw: Path, tmp_path: Path) -> None:
    held = exported(raw)
    changes, says = FORGED[name]
    for key, change in changes.items():
        value = held.pop(key)
        if change is not None:
            held[key] = change(value) if callable(change) else change
    wanted = UnsupportedFileError if name == "version" else CorruptFileError
    with pytest.raises(wanted, match=says) as caught:
        rebuilt(tmp_path, held)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)
    assert not (tmp_path / "changed.mvt").exists()
    assert not list(tmp_path.glob(".*"))


def claim(data: bytes, name: str, old: str, new: str) -> bytes:
    """The file with another text of the same length in an array's header."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as a, zipfile.ZipFile(out, "w") as b:
        for entry in a.namelist():
            held = a.read(entry)
            if entry == f"{name}.npy":
                assert old.encode() in held
                held = held.replace(old.encode(), new.encode(), 1)
            b.writestr(entry, held)
    return out.getvalue()


def test_sizes_are_capped_before_memory_is_taken(raw: Path, tmp_path: Path) -> None:
    """Arrays that claim to be huge, a vast directory, and data that ends early."""
    exported(raw)
    data = raw.with_suffix(".npz").read_bytes()
    crowd = io.BytesIO()
    with zipfile.ZipFile(crowd, "w") as many:
        for i in range(100):
            many.writestr(f"{i:012000}.npy", b"")
    hostile = []
    for name in ("head", "qp", "meta", "pts", "audio_bytes"):
        count = len(arrays_of(raw.with_suffix(".npz"))[name])
        hostile.append(claim(data, name, f"({count},), }}" + " " * 10, f"({count}{'9' * 10},), }}"))
    hostile += [claim(data, "tokens", "(9, 2, 4)", "(9, 2,-4)"), crowd.getvalue(), data[:-300],
                claim(data, "tokens", "<u4", "|O8"), b"PK\x03\x04" + bytes(100)]
    for forged in hostile:
        bad = tmp_path / "bad.npz"
        bad.write_bytes(forged)
        tracemalloc.start()
        with pytest.raises(CorruptFileError) as caught:
            nvcodec.import_tokens(bad, tmp_path / "b.mvt")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 << 20 and "\n" not in str(caught.value)


@given(st.data())
@QUICK
def test_damaged_bytes_never_surprise(raw: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Any change of bytes ends in one of the project's errors, or changes nothing that counts."""
    packed = raw.with_suffix(".npz")
    if not packed.exists():
        exported(raw)
    held = bytearray(packed.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        held[data.draw(st.integers(0, len(held) - 1))] = data.draw(st.integers(0, 255))
    bad = tmp_path / "bad.npz"
    bad.write_bytes(bytes(held))
    try:
        nvcodec.import_tokens(bad, tmp_path / "b.mvt", force=True)
    except NvcodecError as error:
        assert "\n" not in str(error)


def test_long_videos_take_the_memory_of_a_segment(tmp_path: Path) -> None:
    """15 times the segments, the same peak but for the lists."""
    header = make_header(width=512, height=512, padded_width=512, padded_height=512)
    payload = bitstream.encode_tokens(make_tokens((3, 64, 64)), header.coder)
    peaks = []
    for count in (4, 60):
        source = tmp_path / f"{count}.mvt"
        with source.open("wb") as sink, bitstream.Writer(sink, header) as writer:
            for i in range(count):
                writer.write_segment(bitstream.Segment(tuple(range(9 * i, 9 * i + 9)), payload))
        tracemalloc.start()
        nvcodec.export_tokens(source, source.with_suffix(".npz"))
        nvcodec.import_tokens(source.with_suffix(".npz"), tmp_path / f"{count}b.mvt")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (tmp_path / f"{count}b.mvt").read_bytes() == source.read_bytes()
    assert peaks[1] < peaks[0] + (1 << 20)  # all tokens take 2.8 MiB


def test_the_command(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tokens", str(raw)]) == 0
    assert "72 tokens of 27 frames in 3 segments" in capsys.readouterr().err
    before = raw.read_bytes()
    assert run(["tokens", str(raw.with_suffix(".npz")), "-o", str(tmp_path / "b.mvt"), "--json",
                "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["bytes"] == len(before) and err == ""
    assert (tmp_path / "b.mvt").read_bytes() == before
    assert run(["tokens", str(raw.with_suffix(".npz"))]) == 1
    assert "exists already; use -f" in capsys.readouterr().err
    junk = tmp_path / "junk.npz"
    junk.write_bytes(struct.pack("<Q", 7) * 20)
    for args, code in ((["tokens", str(junk)], 3), (["tokens", "-", "-o", "x.npz"], 2),
                       (["tokens", str(tmp_path / "none.mvt")], 1), (["tokens", "x"], 2)):
        assert run(args) == code
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "; " in err
