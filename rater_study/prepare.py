"""Videos -> study folder: browser-safe encodes under random names, and the manifest."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from nvcodec.errors import UsageError
from rater_study import loss, manifest, media
from rater_study.errors import StudyError
from rater_study.manifest import Clip, Condition, Item, Manifest, Settings
from rater_study.sources import Found, Material

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How files are made: codec, frames kept (0: all), clips whose LPIPS is measured, encodes at
    once."""

    codec: str = "h264"
    frames: int = 0
    loss_clips: int = 1
    jobs: int = 1


def prepare(material: Material, out: Path, settings: Settings, options: Options,
            say: Say = print) -> Manifest:
    """Make the study folder `out`, whole or not at all; the manifest it was given."""
    if out.exists():
        raise StudyError(f"{out}: exists already", "choose another folder, or remove this one; "
                         "votes in it would be lost")
    if len({v.label for v in material.videos}) < 2:
        raise UsageError("there is nothing to compare", "name at least two methods or rates")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        (partial / manifest.MEDIA).mkdir()
        with tempfile.TemporaryDirectory(prefix="rater-study-") as scratch:
            made = _Maker(material, partial, Path(scratch), options, say).make(settings)
        manifest.save(made, partial)
        partial.chmod(0o755)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    say(str(made.encoding["loss"]))
    return made


class _Maker:
    """The work of one `prepare`."""

    def __init__(self, material: Material, folder: Path, scratch: Path, options: Options,
                 say: Say) -> None:
        self.material, self.folder, self.scratch = material, folder, scratch
        self.options, self.say = options, say
        for note in material.notes:
            say(note)

    def make(self, settings: Settings) -> Manifest:
        """Encode everything."""
        labels = list(dict.fromkeys(v.label for v in self.material.videos))
        ids = {label: f"m{n:02d}" for n, label in enumerate(labels, 1)}
        clips: list[Clip] = []
        items: list[Item] = []
        for name in self._clip_names():
            clip, own = self._clip(f"c{len(clips) + 1:02d}", name, ids,
                                   measure=len(clips) < self.options.loss_clips)
            clips.append(clip)
            items += own
        if not clips:
            raise StudyError("no clip has two videos to compare",
                             "give the files of a clip one stem in all folders")
        options = self.options
        encoding = {"codec": options.codec, "options": list(media.CODECS[options.codec]),
                    "pixels": "8-bit 4:2:0, BT.709 limited range",
                    "loss": loss.verdict([i.loss for i in items])}
        return Manifest(settings, tuple(clips),
                        tuple(self._condition(ids[x], x) for x in labels), tuple(items), encoding)

    def _clip_names(self) -> list[str]:
        """Clips that can be shown; the others are named and left out."""
        names = []
        for name in sorted({v.clip for v in self.material.videos}):
            count = sum(v.clip == name for v in self.material.videos)
            if count < 2:
                self.say(f"{name}: only one video; left out")
            elif self.material.references and name not in self.material.references:
                self.say(f"{name}: has no reference; left out")
            else:
                names.append(name)
        return names

    def _condition(self, name: str, label: str) -> Condition:
        own = [v for v in self.material.videos if v.label == label]
        rates = [v.bpp for v in own if v.bpp is not None]
        return Condition(name, own[0].method, label,
                         fmean(rates) if len(rates) == len(own) else None)

    def _clip(self, clip_id: str, name: str, ids: dict[str, str],
              measure: bool) -> tuple[Clip, list[Item]]:
        own = [v for v in self.material.videos if v.clip == name]
        paths = {v.label: self._readable(v.path) for v in own}
        source = self.material.references.get(name)
        probes = {label: media.probe(path) for label, path in paths.items()}
        first = media.probe(source) if source else probes[own[0].label]
        frames = self._frames(name, own, probes, first)
        shape = first.width // 2 * 2, first.height // 2 * 2
        self.say(f"{name}: {len(own)} videos of {frames} frames, {shape[0]}x{shape[1]}")

        def one(found: Found) -> Item:
            path, probed = paths[found.label], probes[found.label]
            file = self._encode(path, probed, first.fps, frames)
            facts = self._loss(path, probed, file, first.fps, frames, measure)
            return Item(clip_id, ids[found.label], file, found.bpp, facts)

        with ThreadPoolExecutor(self.options.jobs) as pool:
            items = list(pool.map(one, own))
        reference = gold = None
        if source:
            reference = self._encode(source, first, first.fps, frames)
            gold = self._encode(source, first, first.fps, frames, gold=True)
        return Clip(clip_id, name, *shape, frames, first.fps, reference, gold), items

    def _frames(self, name: str, own: Sequence[Found], probes: dict[str, media.Video],
                first: media.Video) -> int:
        """Frames of every video of a clip; StudyError where they do not match."""
        limit = self.options.frames
        for found in own:
            video = probes[found.label]
            if (video.width, video.height) != (first.width, first.height):
                raise StudyError(f"{found.path}: {video.width}x{video.height}, where {name} is "
                                 f"{first.width}x{first.height}", "bring all to one size")
            if min(video.frames, limit or video.frames) != min(first.frames, limit or first.frames):
                shortest = min(v.frames for v in (*probes.values(), first))
                raise StudyError(f"{found.path}: {video.frames} frames, where {name} has "
                                 f"{first.frames}", f"--frames {shortest} cuts all alike")
        if Fraction(first.fps) > 240:
            raise StudyError(f"{name}: its frame rate is not known",
                             "give a reference with a constant frame rate")
        return min(first.frames, limit) if limit else first.frames

    def _readable(self, path: Path) -> Path:
        """What ffmpeg can read: .mvt files are decoded first."""
        if path.suffix.lower() != ".mvt":
            return path
        target = self.scratch / f"{secrets.token_hex(8)}.mkv"
        media.decode_mvt(path, target)
        return target

    def _encode(self, path: Path, video: media.Video, fps: str, frames: int,
                gold: bool = False) -> str:
        """A browser-safe copy under a random name, checked to have all frames."""
        codec = self.options.codec
        file = f"{secrets.token_hex(12)}{media.SUFFIX[codec]}"
        target = self.folder / manifest.MEDIA / file
        media.encode(path, video, target, fps, frames, codec, gold)
        count = media.probe(target).frames
        if count != frames:
            raise StudyError(f"{path}: {count} of {frames} frames came out of the encode",
                             "check the file, or cut all with --frames")
        return file

    def _loss(self, path: Path, video: media.Video, file: str, fps: str, frames: int,
              measure: bool) -> dict[str, Any]:
        target = self.folder / manifest.MEDIA / file
        facts: dict[str, Any] = {"psnr": round(media.psnr(path, video, target, fps), 2)}
        if measure:
            plain = self.scratch / f"{secrets.token_hex(8)}.mkv"
            media.plain_copy(path, plain, frames)
            facts |= loss.lpips(plain, target)
            plain.unlink()
        return facts
