"""The HEAD chunk: everything about the stream that does not change from segment to segment."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import ceil
from typing import Any

from .caps import (
    CHUNK_CAPS,
    MAX_DIMENSION,
    MAX_ID_BYTES,
    MAX_SEGMENT_FRAMES,
    MAX_SEGMENT_TOKENS,
)
from .chunks import VERSION
from .errors import BadHeader, BitstreamError, CapExceeded, UnknownCoder
from .fields import Cursor, pack_str8

__all__ = ["BACKGROUNDS", "CODER_LEARNED", "CODER_NAMES", "CODER_RAW", "CODER_TABLE", "Header"]

CODER_RAW = 0
CODER_TABLE = 1
CODER_LEARNED = 2
#: Kinds of backgrounds that segments may have: those of version 4, those of version 5 as well, and
#: all that there are.
EARLY_BACKGROUNDS, FADING_BACKGROUNDS, BACKGROUNDS = 1, 2, 3
CODER_NAMES = {CODER_RAW: "raw", CODER_TABLE: "table", CODER_LEARNED: "learned"}

_FLAG_VFR = 1
_FLAG_FULL_RANGE = 2
_FLAG_ALPHA = 4
_FIXED = struct.Struct("<4H4I4BH2I4BI")
_FIXED_NAMES = (
    "width",
    "height",
    "padded_width",
    "padded_height",
    "fps_num",
    "fps_den",
    "time_base_num",
    "time_base_den",
    "flags",
    "primaries",
    "transfer",
    "matrix",
    "rotation",
    "sar_num",
    "sar_den",
    "source_bits",
    "time_stride",
    "spatial_stride",
    "token_bits",
    "keyint",
)
_NO_HASH = bytes(32)


@dataclass(frozen=True)
class Header:
    """Stream parameters; building one checks every field.

    Attributes:
        width, height: displayed size in pixels, 1..16384 (after rotation).
        padded_width, padded_height: coded size, multiples of spatial_stride, >= the display size.
        fps_num, fps_den: frame rate, average where vfr is set; both 1..2^32-1.
        time_base_num, time_base_den: seconds per pts tick; both 1..2^32-1.
        model: tokenizer id, 1..32 bytes of printable UTF-8.
        model_sha256: SHA-256 of the tokenizer's weights, 32 bytes.
        coder: CODER_RAW, CODER_TABLE or CODER_LEARNED.
        prior, prior_sha256: id and SHA-256 of the table or prior; empty and zero for CODER_RAW.
        vfr: frame durations vary.
        primaries, transfer, matrix: ITU-T H.273 code points, 0..255 (2 = unspecified).
        full_range: sample values span the full code range.
        rotation: clockwise degrees that were already applied to the source: 0, 90, 180, 270.
        sar_num, sar_den: sample aspect ratio; both 1..2^32-1.
        source_bits: bit depth of the source, 1..32 (informative).
        source_alpha: the source had an alpha plane (informative).
        time_stride, spatial_stride: pixels per latent along time and space, 1..64.
        token_bits: bits of one token, 1..24.
        keyint: most frames in one segment, 1..65536.
        spacing: most frames from one coded frame to the next, 1, 2 or 4; above 1 the file is of
            version 2 at least.
        density: most coded pictures for each frame after the first, 1 or 2; at 2 the file is of
            version 3 at least.
        backgrounds: 0, or the latest kind that segments may have: 1 is of version 4, 2 of
            version 5, and 3 (BACKGROUNDS) of version 6.

    Raises:
        BadHeader: a field is out of range.  CapExceeded: a size is above its cap.
        UnknownCoder: coder is not one of the three.
    """

    width: int
    height: int
    padded_width: int
    padded_height: int
    fps_num: int
    fps_den: int
    time_base_num: int
    time_base_den: int
    model: str
    model_sha256: bytes
    coder: int = CODER_RAW
    prior: str = ""
    prior_sha256: bytes = _NO_HASH
    vfr: bool = False
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False
    rotation: int = 0
    sar_num: int = 1
    sar_den: int = 1
    source_bits: int = 8
    source_alpha: bool = False
    time_stride: int = 4
    spatial_stride: int = 8
    token_bits: int = 18
    keyint: int = 33
    spacing: int = 1
    density: int = 1
    backgrounds: int = 0

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_size()
        self._check_coder()

    def _check_ranges(self) -> None:
        word = 2**32 - 1
        ranges = {
            "fps_num": (1, word),
            "fps_den": (1, word),
            "time_base_num": (1, word),
            "time_base_den": (1, word),
            "primaries": (0, 255),
            "transfer": (0, 255),
            "matrix": (0, 255),
            "sar_num": (1, word),
            "sar_den": (1, word),
            "source_bits": (1, 32),
            "time_stride": (1, 64),
            "spatial_stride": (1, 64),
            "token_bits": (1, 24),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise _bad(f"{name} is {value}, allowed are {low}..{high}")
        if self.spacing not in (1, 2, 4):
            raise _bad(f"spacing is {self.spacing}, allowed are 1, 2, 4")
        if self.density not in (1, 2):
            raise _bad(f"density is {self.density}, allowed are 1, 2")
        if not 0 <= self.backgrounds <= BACKGROUNDS:
            raise _bad(f"backgrounds is {self.backgrounds}, allowed are 0..{BACKGROUNDS}")
        if self.rotation not in (0, 90, 180, 270):
            raise _bad(f"rotation is {self.rotation}, allowed are 0, 90, 180, 270")
        if not 1 <= len(self.model.encode()) <= MAX_ID_BYTES or not self.model.isprintable():
            raise _bad(f"the model id needs 1..{MAX_ID_BYTES} bytes of printable text")
        if len(self.model_sha256) != 32:
            raise _bad("the model SHA-256 needs 32 bytes")

    def _check_size(self) -> None:
        for name in ("width", "height", "padded_width", "padded_height"):
            value = getattr(self, name)
            if value < 1:
                raise _bad(f"{name} is {value}, at least 1 is needed")
            if value > MAX_DIMENSION:
                raise CapExceeded(f"HEAD: {name} is {value}; scale to {MAX_DIMENSION} or less")
        if self.keyint < 1:
            raise _bad("keyint is 0, at least 1 is needed")
        if self.keyint > MAX_SEGMENT_FRAMES:
            raise CapExceeded(f"HEAD: keyint is {self.keyint}; use {MAX_SEGMENT_FRAMES} or less")
        stride = self.spatial_stride
        if self.padded_width % stride or self.padded_height % stride:
            raise _bad(f"the padded size is not a multiple of the spatial stride {stride}")
        if self.padded_width < self.width or self.padded_height < self.height:
            raise _bad("the padded size is smaller than the displayed size")
        if self.latent_height * self.latent_width > MAX_SEGMENT_TOKENS:
            raise CapExceeded("HEAD: one latent frame is above the token cap; scale down")

    def _check_coder(self) -> None:
        if self.coder not in CODER_NAMES:
            raise UnknownCoder(f"HEAD: entropy coder {self.coder} is unknown; update nvcodec")
        if len(self.prior_sha256) != 32:
            raise _bad("the prior SHA-256 needs 32 bytes")
        if len(self.prior.encode()) > MAX_ID_BYTES or not self.prior.isprintable():
            raise _bad(f"the prior id is above {MAX_ID_BYTES} bytes of printable text")
        empty = not self.prior and self.prior_sha256 == _NO_HASH
        if self.coder == CODER_RAW and not empty:
            raise _bad("the raw coder takes no prior")
        if self.coder != CODER_RAW and not self.prior:
            raise _bad(f"the {CODER_NAMES[self.coder]} coder needs a prior id")

    @property
    def latent_height(self) -> int:
        """Rows of the token grid."""
        return self.padded_height // self.spatial_stride

    @property
    def latent_width(self) -> int:
        """Columns of the token grid."""
        return self.padded_width // self.spatial_stride

    @property
    def version(self) -> int:
        """Lowest format version that has what this stream needs."""
        if self.backgrounds:
            return 3 + self.backgrounds
        if self.density > 1:
            return 3
        return 1 if self.spacing == 1 else 2

    def allows(self, spacing: float) -> bool:
        """Whether segments of a spacing may occur."""
        return 1 / self.density <= spacing <= self.spacing

    def token_shape(self, frame_count: int, spacing: float = 1) -> tuple[int, int, int]:
        """Token grid (T', H', W') of a segment of frame_count >= 1 frames, of which each
        `spacing`-th and the last are coded; below 1, pictures between them as well.
        """
        latents = 1 + ceil((frame_count - 1) / (spacing * self.time_stride))
        return latents, self.latent_height, self.latent_width

    def pictures_of(self, turns: int, spacing: float = 1) -> int:
        """Coded pictures that so many latent frames of a segment stand for, but for those that
        nobody is shown."""
        return 1 + (turns - 1) * (self.time_stride // ceil(1 / spacing))

    def pack(self) -> bytes:
        """Return the HEAD payload."""
        flags = (
            _FLAG_VFR * self.vfr
            | _FLAG_FULL_RANGE * self.full_range
            | _FLAG_ALPHA * self.source_alpha
        )
        fixed = _FIXED.pack(
            *(flags if name == "flags" else getattr(self, name) for name in _FIXED_NAMES)
        )
        ids = pack_str8(self.model) + self.model_sha256
        coder = bytes([self.coder]) + pack_str8(self.prior) + self.prior_sha256
        steps = bytes([self.spacing, self.density, self.backgrounds])[: self.version - 1]
        payload = fixed + ids + coder + steps
        assert len(payload) <= CHUNK_CAPS[b"HEAD"]
        return payload

    @classmethod
    def parse(cls, payload: bytes, base: int | None = None, version: int = 1) -> Header:
        """Read a HEAD payload.

        Args:
            payload: the chunk's payload.
            base: its offset in the file.
            version: of the file; after the fields of a later one than VERSION others may come.

        Raises:
            BadHeader, CapExceeded, UnknownCoder.
        """
        cursor = Cursor(payload, BadHeader, "HEAD", base)
        values: dict[str, Any] = dict(
            zip(_FIXED_NAMES, _FIXED.unpack(cursor.take(_FIXED.size)), strict=True)
        )
        flags = values.pop("flags")
        if flags & ~(_FLAG_VFR | _FLAG_FULL_RANGE | _FLAG_ALPHA):
            raise cursor.fail(f"has unknown flags {flags:#04x}")
        values["vfr"] = bool(flags & _FLAG_VFR)
        values["full_range"] = bool(flags & _FLAG_FULL_RANGE)
        values["source_alpha"] = bool(flags & _FLAG_ALPHA)
        values["model"] = cursor.str8(MAX_ID_BYTES, least=1)
        values["model_sha256"] = cursor.take(32)
        values["coder"] = cursor.u8()
        values["prior"] = cursor.str8(MAX_ID_BYTES)
        values["prior_sha256"] = cursor.take(32)
        if version >= 2:
            values["spacing"] = cursor.u8()
        if version >= 3:
            values["density"] = cursor.u8()
        if version >= 4:
            values["backgrounds"] = cursor.u8()
            if values["backgrounds"] > version - 3:
                raise cursor.fail("has backgrounds of a later version than its file")
        if version <= VERSION:
            cursor.finish()
        try:
            return cls(**values)
        except BitstreamError as error:
            error.offset = base
            raise


def _bad(message: str) -> BadHeader:
    return BadHeader(f"HEAD: {message}; get another copy or encode again")
