"""Makes the stored streams of this folder; run it only to add files, never to replace them.

    python tests/golden/make_golden.py

A file that was released must decode for ever, so an existing file is left as it is.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bitstream import (
    CODER_LEARNED,
    CODER_RAW,
    CODER_TABLE,
    AudioPackets,
    AudioStream,
    Background,
    Counts,
    Header,
    Packet,
    Plane,
    Segment,
    StaticTable,
    Writer,
    count_contexts,
    encode_tokens,
    plane_sizes,
)
from bitstream.background import MAX_LEVEL
from bitstream.contexts import CONTEXTS, QP_BUCKETS

if TYPE_CHECKING:
    from nvcodec.codec.coders import TokenCoder

HERE = Path(__file__).parent
WIDTH, HEIGHT = 150, 84


def make_grid(shape: tuple[int, int, int], seed: int, bits: int) -> np.ndarray:
    """uint32 tokens with structure in space and time, from plain integer arithmetic."""
    t, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    cell = (x + t // 2) // 3 * 97 + y // 3 * 31 + seed * 7
    noise = (t * 1009 + y * 9176 + x * 6364 + seed * 271) * 48271 % 65521
    tokens = cell * 40503 % 65521 * 5 ^ np.where(noise % 5 == 0, noise, 0)
    return (tokens % (1 << bits)).astype(np.uint32)


def make_background(turn: int, seed: int, turns: int, fade: int = 0, pictures: int = 0
                    ) -> Background:
    """A background of the streams' pictures, from plain integer arithmetic: most of the blocks that
    are told of lie beside each other, low frequencies are there more often, and some levels are as
    large as they may be. Every other one has maps for so many latent frames. Where `pictures` are
    given the camera moves in them."""
    planes = []
    for number, size in enumerate(plane_sizes(WIDTH, HEIGHT)):
        r, c, y, x = np.meshgrid(*map(np.arange, (*size, 8, 8)), indexing="ij")
        noise = r * 1009 + c * 9176 + y * 6364 + x * 271 + number * 13 + seed * 977
        noise = noise * 48271 % 65521
        blocks = ((r // 3 + c // 4 + seed) % 3 > 0) ^ ((r * 7 + c * 5 + number) % 17 == 0)
        levels = np.where(noise % (2 + y + x) ** 2 == 0, noise % 31 - 15, 0)
        levels = np.where(noise % 97 == 5, noise % (2 * MAX_LEVEL + 1) - MAX_LEVEL, levels)
        levels[noise % 997 == 0] = MAX_LEVEL
        levels[noise % 997 == 1] = -MAX_LEVEL
        levels[~blocks] = 0
        planes.append(Plane(blocks[:, :, 0, 0], levels.astype(np.int16)))
    luma, blue, red = planes
    t, r, c = np.meshgrid(*map(np.arange, (turns, *luma.told.shape)), indexing="ij")
    shown = ((c + t) // 2 % 3 > 0) ^ ((r * 5 + c * 3 + t) % 11 == 0)
    maps = shown & luma.told if seed % 2 else None
    t, corner, way = np.meshgrid(*map(np.arange, (pictures, 4, 2)), indexing="ij")
    gone = (t - turn) * (5 + seed + corner * (2 - way)) + (t * 7 + corner * 3 + way) * t % 5
    moves = gone.astype(np.int16) if pictures else None
    return Background(turn, 9 * seed + 1, (luma, blue, red), maps, fade, moves)


def told(background: Background | None) -> bytes:
    """All that a background says, as bytes to be hashed; one where there is none."""
    if background is None:
        return b"-"
    fields = bytes([background.turn, background.fade, background.step])
    planes = [(p.told.astype("u1").tobytes(), p.levels.astype("<i2").tobytes())
              for p in background.planes]
    maps = b"" if background.shown is None else background.shown.astype("u1").tobytes()
    moves = b"" if background.moves is None else background.moves.astype("<i2").tobytes()
    return fields + b"".join(part for plane in planes for part in plane) + maps + moves


def formula_table() -> StaticTable:
    """A table of 18 bits that needs no file: its probabilities follow a formula."""
    size = QP_BUCKETS * 18 * CONTEXTS
    p1 = 32 + np.arange(size, dtype=np.int64) * 40503 % 65473
    return StaticTable("formula", p1.astype(np.uint16).reshape(QP_BUCKETS, 18, CONTEXTS), 8)


def trained_table() -> StaticTable:
    """A small trained table of 8 bits."""
    counts = Counts(8)
    for seed in range(6):
        count_contexts(make_grid((5, 12, 20), 100 + seed, 8), 12 * seed, counts)
    return StaticTable.from_counts("golden8", counts)


#: Priors of 8 bits, by what is theirs alone: four passes, ten, and ten with a longer memory and
#: other grids.
PRIORS = {"learned8": {}, "fine8": {"around": 6}, "long8": {"around": 5, "frames": 3, "finest": 7}}


def small_prior(table: StaticTable, **sizes: int) -> bytes:
    """A prior file whose weights follow a formula."""
    import torch

    from nvcodec.models.prior import Prior
    from nvcodec.models.prior_file import prior_bytes
    from nvcodec.models.quant import QuantLinear

    prior = Prior(8, 8, 12, 8, **sizes)
    for number, layer in enumerate(m for m in prior.modules() if isinstance(m, QuantLinear)):
        old = layer.integers()
        weight, bias = (np.arange(v.numel(), dtype=np.int64) for v in old.values())
        weight = (weight * 40503 + number * 977) % 65521 % 61 - 30
        bias = (bias * 30011 + number * 13) % 65521 % 2001 - 1000
        layer.load_integers(
            torch.from_numpy(weight.astype(np.int8)).view(old["weight"].shape),
            torch.from_numpy(bias.astype(np.int32)).view(old["bias"].shape))
    return prior_bytes(prior, table.sha256.hex())


def learned_coder(name: str = "learned8") -> TokenCoder:
    """Coder 2 on one of this folder's priors."""
    import torch

    from nvcodec.codec.coders import TokenCoder
    from nvcodec.codec.learned import LearnedPrior
    from nvcodec.models.prior_file import load_prior

    file = load_prior(HERE / f"v1_{name}.prior.safetensors", torch.device("cpu"))
    table = StaticTable.load(HERE / "v1_table8.table")
    prior = LearnedPrior(file.network, table, file.p1.numpy().astype(np.int64), file.hints.numpy())
    return TokenCoder(CODER_LEARNED, 8, prior=prior)


def learned_stream(spacings: tuple[float, ...] = (1, 1, 1, 1), name: str = "learned8",
                   turns: dict[int, int] | None = None, kind: int = 1
                   ) -> tuple[bytes, dict[str, str]]:
    """A stream of coder 2, and what `write_stream` says of it."""
    coder = learned_coder(name)
    sha256 = hashlib.sha256((HERE / f"v1_{name}.prior.safetensors").read_bytes()).digest()
    named = {"prior": "golden8" if name == "learned8" else name, "prior_sha256": sha256}
    return write_stream(CODER_LEARNED, 8, named, coder.encode, spacings, turns, kind)


def make_stream(coder: int, bits: int, table: StaticTable | None) -> tuple[bytes, dict[str, str]]:
    """A stream of coder 0 or 1, and what `write_stream` says of it."""
    named = {} if table is None else {"prior": table.id, "prior_sha256": table.sha256}
    return write_stream(coder, bits, named,
                        lambda tokens, qp: encode_tokens(tokens, coder, table, qp, bits))


def write_stream(coder: int, bits: int, named: dict[str, Any],
                 code: Callable[[np.ndarray, int], bytes],
                 spacings: tuple[float, ...] = (1, 1, 1, 1), turns: dict[int, int] | None = None,
                 kind: int = 1) -> tuple[bytes, dict[str, str]]:
    """Bytes of a stream of four segments, and the SHA-256 of its tokens and of its backgrounds.

    Where a spacing is above 1 it is of version 2, where one is below, of version 3. With `turns`,
    those of the backgrounds by segment, it is of version 4 or later, by the kind of these.
    """
    header = Header(
        width=WIDTH,
        height=HEIGHT,
        padded_width=152,
        padded_height=88,
        fps_num=30000,
        fps_den=1001,
        time_base_num=1,
        time_base_den=30000,
        model="golden",
        model_sha256=hashlib.sha256(b"golden").digest(),
        coder=coder,
        vfr=True,
        primaries=1,
        transfer=1,
        matrix=1,
        token_bits=bits,
        keyint=17,
        spacing=int(max(spacings)),
        density=int(1 / min(spacings)),
        backgrounds=0 if turns is None else kind,
        **named,
    )
    digest, still, pts, sink = hashlib.sha256(), hashlib.sha256(), 0, io.BytesIO()
    with Writer(sink, header) as writer:
        writer.write_meta({"title": "golden"})
        writer.write_audio(AudioStream(0, "aac", 1, 48000, 48000, 2, "stereo", "und", b"\x11\x90"))
        for number, count in enumerate((1, 17, 6, 17)):
            spacing = spacings[number]
            tokens = make_grid(header.token_shape(count, spacing), number, bits)
            digest.update(tokens.astype("<u4").tobytes())
            times = tuple(pts + 1001 * k + (k % 3 if number == 2 else 0) for k in range(count))
            pts = times[-1] + 1001
            payload = code(tokens, 21 * number)
            turn = (turns or {}).get(number)
            pictures = header.pictures_of(len(tokens), spacing) if kind > 2 else 0
            background = None if turn is None else make_background(
                turn, number, len(tokens), 80 if kind > 1 else 0, pictures)
            still.update(told(background))
            writer.write_segment(Segment(times, payload, 21 * number, 1001, spacing,
                                         background.pack() if background else b""))
            packet = Packet(bytes([number] * 40), 1024 * number, None, 1024)
            writer.write_audio(AudioPackets(0, (packet,)))
    hashes = {"tokens_sha256": digest.hexdigest()}
    if turns is not None:
        hashes["backgrounds_sha256"] = still.hexdigest()
    return sink.getvalue(), hashes


def main() -> None:
    """Write the files that are missing and add them to golden.json."""
    listing = HERE / "golden.json"
    known = json.loads(listing.read_text()) if listing.exists() else {}
    trained = HERE / "v1_table8.table"
    if not trained.exists():
        trained_table().save(trained)
    for name, sizes in PRIORS.items():
        prior = HERE / f"v1_{name}.prior.safetensors"
        if not prior.exists():
            prior.write_bytes(small_prior(StaticTable.load(trained), **sizes))
    streams = {
        "v1_raw.mvt": partial(make_stream, CODER_RAW, 18, None),
        "v1_table8.mvt": partial(make_stream, CODER_TABLE, 8, StaticTable.load(trained)),
        "v1_table18.mvt": partial(make_stream, CODER_TABLE, 18, formula_table()),
        "v1_learned8.mvt": learned_stream,
        "v1_fine8.mvt": partial(learned_stream, name="fine8"),
        "v1_long8.mvt": partial(learned_stream, name="long8"),
        "v2_learned8.mvt": partial(learned_stream, (2, 4, 1, 2)),
        "v3_learned8.mvt": partial(learned_stream, (0.5, 0.5, 2, 1)),
        "v4_learned8.mvt": partial(learned_stream, (1, 0.5, 2, 1), turns={0: 0, 1: 8, 3: 2}),
        "v5_learned8.mvt": partial(learned_stream, (1, 0.5, 2, 1), turns={0: 0, 1: 8, 3: 2},
                                   kind=2),
        "v6_learned8.mvt": partial(learned_stream, (1, 0.5, 2, 1), turns={0: 0, 1: 8, 3: 2},
                                   kind=3),
    }
    for name, make in streams.items():
        if not (HERE / name).exists():
            data, hashes = make()
            (HERE / name).write_bytes(data)
            known[name] = {"file_sha256": hashlib.sha256(data).hexdigest(), **hashes}
    listing.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
