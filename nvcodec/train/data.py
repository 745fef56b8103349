"""Training clips: any folder of videos and images, decoded once, cropped at random.

Decoded frames are kept as uint8 arrays in a cache folder and mapped into memory, so that a crop
costs a copy and no decoding. Sample `i` of step `n` depends on (seed, n, i) alone: a resumed run
sees the data it would have seen.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nvcodec.errors import InputError, NvcodecError
from nvcodec.train.crops import ClipShape, pan, random_crop
from nvcodec.video.atomic import atomic_output

VIDEO = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m"}
IMAGE = {".jpg", ".jpeg", ".png", ".webp"}
Frames = NDArray[np.uint8]
_log = logging.getLogger(__name__)


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
                frames = np.load(decode_to_cache(source, cache), mmap_mode="c")
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
        self.device = torch.device("cpu")
        self._clips = self._on(self.device)

    def move(self, device: torch.device) -> None:
        """Cut crops on a GPU from now on, where the clips take no more than a third of its memory:
        they are made there as fast as it trains, which takes ten cores otherwise."""
        size = sum(v.nbytes for v in (*self.videos, *self.stills))
        if device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] // 3:
            self.device = device
            self._clips = self._on(device)

    def _on(self, device: torch.device) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Videos and stills."""
        return tuple([torch.from_numpy(v).to(device) for v in clips]  # type: ignore[return-value]
                     for clips in (self.videos, self.stills))

    def batch(self, step: int, shape: ClipShape, rank: int = 0) -> torch.Tensor:
        """uint8 [B, T, size, size, 3] of training crops. T = 1 draws photos and video frames."""
        rng = np.random.default_rng((self.seed, step, rank))
        return torch.stack([self._crop(rng, shape) for _ in range(shape.batch)])

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

    def _crop(self, rng: np.random.Generator, shape: ClipShape) -> torch.Tensor:
        for _ in range(100):
            still = self.stills and rng.random() < (0.6 if shape.frames == 1 else shape.panned)
            pool = self._clips[bool(still or not self.videos)]
            clip = pool[rng.integers(len(pool))]
            crop = (pan(rng, clip[0], shape) if len(clip) == 1 and shape.frames > 1 else
                    random_crop(rng, clip, shape))
            if crop is not None:
                return crop
        raise InputError(f"no source holds {shape.frames} frames of {shape.size} pixels",
                         "add larger clips, or lower --size and --frames")
