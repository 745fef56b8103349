"""Training clips: any folder of videos and images, decoded once, cropped at random.

Decoded frames are kept as uint8 arrays in a cache folder and mapped into memory, so that a crop
costs a copy and no decoding. Sample `i` of step `n` depends on (seed, n, i) alone: a resumed run
sees the data it would have seen.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nvcodec.errors import InputError, NvcodecError
from nvcodec.video.atomic import atomic_output

VIDEO = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m"}
IMAGE = {".jpg", ".jpeg", ".png", ".webp"}
Frames = NDArray[np.uint8]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipShape:
    """What a batch looks like: frames of size x size pixels."""

    batch: int
    frames: int
    size: int
    #: Share of clips that are photos, standing still or panned over.
    panned: float = 0.0


def find_sources(folders: Sequence[Path]) -> list[Path]:
    """Every video and image below the folders, in a stable order."""
    files = [p for f in folders for p in sorted(f.rglob("*")) if p.suffix.lower() in VIDEO | IMAGE]
    if not files:
        raise InputError(f"no videos or images below {', '.join(map(str, folders))}",
                         "name a folder with some")
    return files


def decode_to_cache(source: Path, cache: Path, max_frames: int = 240) -> Path:
    """Decode a source once to uint8 [T, H, W, 3] in an .npy file; returns that file.

    The file is named by the source's content, so that copies and moves cost no second decoding.
    """
    content = hashlib.sha256(source.read_bytes()).hexdigest()[:24]
    target = cache / f"{content}-{max_frames}.npy"
    if target.exists():
        return target
    frames = np.stack(list(_read(source, max_frames)))
    with atomic_output(target, force=True) as partial, partial.open("wb") as file:
        np.save(file, frames)
    return target


def _read(source: Path, max_frames: int) -> Iterator[Frames]:
    from nvcodec.video.reader import open_video

    with open_video(source) as video:
        for i, frame in enumerate(video.frames()):
            if i == max_frames:
                return
            yield frame.rgb


class ClipPool:
    """Random crops from decoded sources; every `holdout`-th source is kept for validation."""

    def __init__(self, folders: Sequence[Path], cache: Path, seed: int, holdout: int = 16,
                 min_side: int = 64) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.seed = seed
        self.videos: list[Frames] = []
        self.stills: list[Frames] = []
        self.held: list[Frames] = []
        for i, source in enumerate(find_sources(folders)):
            try:
                frames = np.load(decode_to_cache(source, cache), mmap_mode="r")
            except NvcodecError as error:
                _log.warning("left out of training: %s", error)
                continue
            if min(frames.shape[1:3]) < min_side:
                continue
            if len(frames) == 1:
                self.stills.append(frames)
            elif i % holdout == holdout // 2:
                self.held.append(frames)
            else:
                self.videos.append(frames)

    def batch(self, step: int, shape: ClipShape, rank: int = 0) -> torch.Tensor:
        """uint8 [B, T, size, size, 3] of training crops. T = 1 draws photos and video frames."""
        rng = np.random.default_rng((self.seed, step, rank))
        return torch.from_numpy(np.stack([self._crop(rng, shape) for _ in range(shape.batch)]))

    def validation(self, most: int, frames: int, side: int) -> list[torch.Tensor]:
        """uint8 [frames, H, W, 3], the centres of at most `most` held-out videos of that length.

        H and W are `side`, or the whole picture's where that is smaller.
        """
        clips = []
        for clip in [c for c in self.held if len(c) >= frames][:most]:
            y, x = (max(n - side, 0) // 2 for n in clip.shape[1:3])
            clips.append(torch.from_numpy(clip[:frames, y:y + side, x:x + side].copy()))
        if not clips:
            raise InputError("no held-out video is long enough to validate on",
                             "add clips, or lower --frames")
        return clips

    def _crop(self, rng: np.random.Generator, shape: ClipShape) -> Frames:
        for _ in range(100):
            still = self.stills and rng.random() < (0.6 if shape.frames == 1 else shape.panned)
            pool = self.stills if still or not self.videos else self.videos
            clip = pool[rng.integers(len(pool))]
            crop = (_pan(rng, clip[0], shape) if len(clip) == 1 and shape.frames > 1 else
                    _random_crop(rng, clip, shape))
            if crop is not None:
                return crop
        raise InputError(f"no source holds {shape.frames} frames of {shape.size} pixels",
                         "add larger clips, or lower --size and --frames")


def _pan(rng: np.random.Generator, photo: Frames, shape: ClipShape) -> Frames | None:
    """A crop that stands still or moves over a photo [H, W, 3] at one speed.

    Few real clips do either for long, and a memory has most to learn from them. A third of the
    crops are shrunk by two as they move, so that steps of half a pixel occur.
    """
    shrink = 2 if rng.random() < 0.35 and min(photo.shape[:2]) >= 2 * shape.size else 1
    side = shape.size * shrink
    room = np.array(photo.shape[:2]) - side
    if room.min() < 0:
        return None
    speed = rng.uniform(-4, 4, 2) * rng.random() * (rng.random() < 0.6)
    travel = np.clip(speed * (shape.frames - 1), -room, room)
    start = np.maximum(-travel, 0) + rng.random(2) * (room - np.abs(travel))
    path = start + np.linspace(0, 1, shape.frames)[:, None] * travel
    frames = [photo[y:y + side, x:x + side] for y, x in path.round().astype(int)]
    clip = np.stack([_halved(f) if shrink == 2 else f for f in frames])
    return np.ascontiguousarray(clip[:, :, ::-1] if rng.random() < 0.5 else clip)


def _halved(picture: Frames) -> Frames:
    """[..., H, W, 3] -> [..., H / 2, W / 2, 3], means of 2x2 pixels."""
    wide = picture.astype(np.uint16)
    rows = wide[..., ::2, :, :] + wide[..., 1::2, :, :]
    half: Frames = ((rows[..., ::2, :] + rows[..., 1::2, :] + 2) // 4).astype(np.uint8)
    return half


def _random_crop(rng: np.random.Generator, clip: Frames, shape: ClipShape) -> Frames | None:
    """A crop, a third of them shrunk by two (sharper content), strides 1-2, flipped at will.

    A clip of at least half the length that is wanted is played forth and back.
    """
    stride = int(rng.integers(1, 3)) if len(clip) >= 2 * shape.frames else 1
    shrink = 2 if rng.random() < 0.35 and min(clip.shape[1:3]) >= 2 * shape.size else 1
    span, side = (shape.frames - 1) * stride + 1, shape.size * shrink
    if 2 * len(clip) < span or min(clip.shape[1:3]) < side:
        return None
    t = int(rng.integers(max(len(clip) - span, 0) + 1))
    y = int(rng.integers(clip.shape[1] - side + 1))
    x = int(rng.integers(clip.shape[2] - side + 1))
    last = len(clip) - 1
    when = last - np.abs(last - (t + stride * np.arange(shape.frames)) % max(2 * last, 1))
    crop: Frames = clip[when, y:y + side, x:x + side]
    if shrink == 2:
        crop = _halved(crop)
    if rng.random() < 0.5:
        crop = crop[:, :, ::-1]
    if rng.random() < 0.1:
        crop = crop[::-1]
    return np.ascontiguousarray(crop)
