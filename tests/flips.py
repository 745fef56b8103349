"""Flips bytes of a real file and cuts it: every change must be detected or harmless.

    python -m tests.flips FILE.mvt [--flips 10000] [--cuts 1000] [--resealed 100]

Each changed copy is read whole, by its index and as a pipe. Where everything read equals the
original, the change is harmless: tokens follow from what was read (payload, shape, qp, coder), so
they need not be decoded again. Where a reader takes the copy and anything differs, its tokens are
decoded and compared. `--resealed` changes token bytes and makes the chunk's CRC right again, as a
fault before writing would; only the tokens' own CRC can show these, and all of them are decoded.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import datetime
import io
import platform
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import bitstream
import nvcodec
from nvcodec.codec.coders import TokenCoder, coder_for
from tests.fuzz.engine import Pipe, resealed

PARTS = ("magic", "HEAD", "META", "AUDI", "SEGM", "INDX", "ENDS")


@dataclass
class Row:
    """Changes of one kind: how many, and what came of them under both readers."""

    changes: int = 0
    results: Counter[str] = field(default_factory=Counter)
    most_lost: int = 0


class Original:
    """A whole file, what it holds, and its tokens."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.content = self.by_index(data)
        header: bitstream.Header = self.content[0]
        self.coder: TokenCoder = coder_for(header)
        self.tokens = [self.decode(header, s) for s in self.content[1]]
        self.spans = [("magic", 0, 10)]
        self.spans += [(s.tag.decode(), s.offset, s.offset + s.size)
                       for s in bitstream.scan(io.BytesIO(data))]

    def decode(self, header: bitstream.Header, segment: bitstream.Segment) -> Any:
        return self.coder.decode(segment.payload, header.token_shape(segment.frame_count),
                                 segment.qp)

    @staticmethod
    def by_index(data: bytes) -> tuple[Any, ...]:
        reader = bitstream.Reader(io.BytesIO(data))
        return reader.header, list(reader.iter_segments()), list(reader.audio()), reader.meta

    @staticmethod
    def by_pipe(data: bytes) -> tuple[Any, ...]:
        reader = bitstream.StreamReader(Pipe(data))
        items = list(reader)
        sound = (bitstream.AudioStream, bitstream.AudioPackets)
        meta = next((i.values for i in items if isinstance(i, bitstream.Meta)), {})
        return (reader.header, [i for i in items if isinstance(i, bitstream.Segment)],
                [i for i in items if isinstance(i, sound)], meta)

    def judge(self, changed: bytes) -> str:
        """"detected" by both readers, "harmless" where one takes it for what it was, or "wrong"."""
        taken = False
        for read in (self.by_index, self.by_pipe):
            try:
                content = read(changed)
                if content != self.content and self.decodes_wrong(content):
                    return "wrong"
            except bitstream.BitstreamError:
                continue
            taken = True
        return "harmless" if taken else "detected"

    def decodes_wrong(self, content: tuple[Any, ...]) -> bool:
        """Whether what differs goes unseen when tokens are decoded."""
        header, segments, *_ = content
        for segment in segments:
            self.decode(header, segment)
        return True  # no checksum objected, and something is not what it was

    def lost(self, changed: bytes) -> int:
        """Segments that recovery does not bring back as they were."""
        found = []
        try:
            reader = bitstream.Reader(io.BytesIO(changed), recover=True)
        except bitstream.BitstreamError:
            return len(self.tokens)
        for number in range(len(reader.segments)):
            try:
                found.append(reader.read_segment(number))
            except bitstream.CorruptError:
                continue
        return sum(segment not in found for segment in self.content[1])


def flip(file: Original, count: int, rng: random.Random) -> dict[str, Row]:
    """Change one byte at a time, anywhere."""
    rows = {part: Row() for part in PARTS}
    for _ in range(count):
        place = rng.randrange(len(file.data))
        changed = bytearray(file.data)
        changed[place] ^= rng.randrange(1, 256)
        row = rows[next(name for name, a, b in file.spans if a <= place < b)]
        row.changes += 1
        row.results[file.judge(bytes(changed))] += 1
        row.most_lost = max(row.most_lost, file.lost(bytes(changed)))
    return rows


def cut(file: Original, count: int, rng: random.Random) -> Row:
    """Drop the file's end, from a random byte on."""
    row = Row()
    for _ in range(count):
        row.changes += 1
        row.results[file.judge(file.data[:rng.randrange(len(file.data))])] += 1
    return row


def reseal(file: Original, count: int, rng: random.Random) -> Row:
    """Change a byte of a token payload under a right chunk CRC; every one is decoded."""
    row = Row()
    header: bitstream.Header = file.content[0]
    for _ in range(count):
        number = rng.randrange(len(file.tokens))
        segment: bitstream.Segment = file.content[1][number]
        payload = bytearray(segment.payload)
        payload[rng.randrange(len(payload))] ^= rng.randrange(1, 256)
        changed = bitstream.Segment(segment.pts, bytes(payload), segment.qp, segment.last_duration)
        row.changes += 1
        try:
            same = np.array_equal(file.decode(header, changed), file.tokens[number])
            row.results["harmless" if same else "wrong"] += 1
        except bitstream.BadTokens:
            row.results["detected"] += 1
    return row


def table(file: Original, name: str, rows: dict[str, Row]) -> str:
    """The figures as Markdown."""
    sizes = Counter(dict.fromkeys(PARTS, 0))
    for part, a, b in file.spans:
        sizes[part] += b - a
    made = ", ".join([f"nvcodec {nvcodec.__version__}", *(
        f"{package} {version(package)}" for package in ("numpy", "constriction", "torch"))])
    lines = [f"{name}: {len(file.data)} bytes, {len(file.tokens)} segments, coder "
             f"{bitstream.CODER_NAMES[file.content[0].coder]}; "
             f"{datetime.datetime.now(datetime.UTC).date()}, Python {platform.python_version()}, "
             f"{made}.", "",
             "| changed | bytes | changes | detected | harmless | wrong | most segments lost |",
             "|---|---|---|---|---|---|---|"]
    for part, row in rows.items():
        got = [row.results[k] for k in ("detected", "harmless", "wrong")]
        cells = [part, sizes.get(part, ""), row.changes, *got,
                 row.most_lost if part in PARTS else ""]
        if row.changes:
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def measure(data: bytes, flips: int, cuts: int, resealed_: int,
            seed: int = 0) -> tuple[Original, dict[str, Row]]:
    """All changes of one file."""
    rng = random.Random(seed)
    file = Original(data)
    if resealed(data) != data:
        raise ValueError("the file's own checksums are wrong; take a whole one")
    rows = flip(file, flips, rng)
    rows["end cut off"] = cut(file, cuts, rng)
    rows["tokens, CRC made right"] = reseal(file, resealed_, rng)
    return file, rows


def main() -> int:
    """Returns the exit code: 1 where a change went unseen."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.flips",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--cuts", type=int, default=1_000)
    parser.add_argument("--resealed", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    o = parser.parse_args()
    file, rows = measure(o.file.read_bytes(), o.flips, o.cuts, o.resealed, o.seed)
    print(table(file, o.file.name, rows))
    return int(any(row.results["wrong"] for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
