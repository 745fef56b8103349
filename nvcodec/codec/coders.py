"""Token coders: raw bits, the static table, the learned prior. Loads torch for the last only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

import bitstream
from nvcodec.models import registry

if TYPE_CHECKING:
    from nvcodec.codec.learned import LearnedPrior

#: What `--prior` may say.
CODERS = {"none": bitstream.CODER_RAW, "table": bitstream.CODER_TABLE,
          "learned": bitstream.CODER_LEARNED}
Tokens = NDArray[np.uint32]
#: Values from here on keep their sign under rate-distortion optimization (mean square is 1).
RDO_REACH = 0.6


class Packer(Protocol):
    """Latent values of one segment on their way to its payload."""

    @property
    def size(self) -> int:
        """Bytes that it takes so far, about, or at most."""

    def push(self, z: NDArray[np.float32]) -> Tokens:
        """Take the next latent frames, values [t, H', W', bits]; tokens uint32 [t, H', W']."""

    def finish(self) -> tuple[Tokens, bytes]:
        """Tokens uint32 [T', H', W'] and their payload."""


@dataclass(frozen=True)
class TokenCoder:
    """Tokens <-> payloads for one coder of one release."""

    coder: int
    token_bits: int
    table: bitstream.StaticTable | None = None
    prior: LearnedPrior | None = None

    def encode(self, tokens: Tokens, qp: int) -> bytes:
        """Code one segment's tokens uint32 [T', H', W'] at the segment's qp 0..63."""
        if self.prior is None:
            return bitstream.encode_tokens(tokens, self.coder, self.table, qp, self.token_bits)
        from nvcodec.codec.learned import encode_learned

        return encode_learned(tokens, self.prior, qp)

    def packer(self, size: tuple[int, int], qp: int, rdo: float = 0.0) -> Packer:
        """What codes the latent values of one segment of H' x W' grids as they come.

        `rdo` > 0 lets the learned prior choose the sign of small values by its cost: |z| that a
        nat is worth. Decoders need not know.
        """
        if self.prior is None:
            return _Whole(self, qp)
        from nvcodec.codec.learned import SignCoder

        return SignCoder(self.prior, size, qp, rdo, RDO_REACH)

    def decode(self, payload: bytes, shape: tuple[int, int, int], qp: int) -> Tokens:
        """Tokens uint32 [T', H', W'] = shape; bitstream.BadTokens where the payload is damaged."""
        return np.stack(list(self.frames(payload, shape, qp)))

    def frames(self, payload: bytes, shape: tuple[int, int, int], qp: int) -> Iterator[Tokens]:
        """As `decode`, one latent frame uint32 [H', W'] at a time.

        Damage may show after frames that were given, at the latest after the last.
        """
        if self.prior is None:
            return bitstream.decode_frames(
                payload, shape, self.coder, self.table, qp, self.token_bits)
        from nvcodec.codec.learned import decode_learned

        return decode_learned(payload, shape, self.prior, qp)


class _Whole:
    """Codes a segment when all of it is there."""

    def __init__(self, coder: TokenCoder, qp: int) -> None:
        self.coder, self.qp = coder, qp
        self.parts: list[Tokens] = []

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts) * self.coder.token_bits // 8

    def push(self, z: NDArray[np.float32]) -> Tokens:
        self.parts.append(bitstream.join_bits(np.moveaxis(z > 0, -1, 0).view(np.uint8)))
        return self.parts[-1]

    def finish(self) -> tuple[Tokens, bytes]:
        tokens = np.concatenate(self.parts)
        return tokens, self.coder.encode(tokens, self.qp)


def default_coder(release: registry.Release) -> str:
    """The best of CODERS that the release has what it needs for."""
    return "learned" if release.prior else "table" if release.table else "none"


def coder_of(release: registry.Release, name: str) -> TokenCoder:
    """The release's coder of this name; ModelError where it has none or its file is another."""
    bits = release.config.token_bits
    if name == "table":
        return TokenCoder(CODERS[name], bits, table=_load_table(release))
    if name == "learned":
        return TokenCoder(CODERS[name], bits, prior=_load_prior(release))
    return TokenCoder(CODERS[name], bits)


def coder_for(header: bitstream.Header) -> TokenCoder:
    """The coder a file was made with; ModelError naming what it wants where that is not here."""
    if header.coder == bitstream.CODER_RAW:
        return TokenCoder(header.coder, header.token_bits)
    wanted = header.prior_sha256.hex()
    name = bitstream.CODER_NAMES[header.coder]
    for release in registry.releases():
        if wanted == (release.table_sha256 if name == "table" else release.prior_sha256):
            return coder_of(release, name)
    raise registry.ModelError(
        f"the file needs {name} prior {header.prior!r} with SHA-256 {wanted[:16]}..., which is not "
        "here; install the nvcodec version that wrote it, or name its folder in NVCODEC_MODELS")


def _load_table(release: registry.Release) -> bitstream.StaticTable:
    if release.table is None:
        raise registry.ModelError(f"model {release.id!r} has no table; use --prior none")
    registry.whole_bytes(release.table, release.table_sha256)
    return bitstream.StaticTable.load(release.table)


def _load_prior(release: registry.Release) -> LearnedPrior:
    if release.prior is None:
        raise registry.ModelError(f"model {release.id!r} has no learned prior; use --prior table")
    registry.whole_bytes(release.prior, release.prior_sha256)
    return read_learned(release.prior, _load_table(release))


def read_learned(path: Path, table: bitstream.StaticTable) -> LearnedPrior:
    """The learned prior in a file, with its table; ModelError where it was made for another."""
    import torch

    from nvcodec.codec.learned import LearnedPrior
    from nvcodec.models.prior_file import load_prior

    # On the CPU whatever the device of the networks: its steps are many and small.
    file = load_prior(path, torch.device("cpu"))
    if (file.network.bits, file.table_sha256) != (table.token_bits, table.sha256.hex()):
        raise registry.ModelError(f"{path} belongs to another table; reinstall it")
    return LearnedPrior(file.network, table, file.p1.numpy().astype(np.int64), file.hints.numpy())
