"""The META chunk: one JSON object of at most 64 KiB."""

from __future__ import annotations

import json
from typing import Any

from .caps import CHUNK_CAPS
from .errors import BadMeta

__all__ = ["pack_meta", "parse_meta"]


def pack_meta(meta: dict[str, Any]) -> bytes:
    """Return meta as compact UTF-8 JSON.

    Raises:
        BadMeta: not a JSON object, has NaN or infinity, or is above 64 KiB.
    """
    if not isinstance(meta, dict):
        raise BadMeta("META: metadata is not a JSON object; pass a dict")
    try:
        text = json.dumps(meta, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        payload = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise BadMeta(f"META: {error}; pass plain JSON values") from None
    if len(payload) > CHUNK_CAPS[b"META"]:
        raise BadMeta(f"META: {len(payload)} bytes; shorten it to {CHUNK_CAPS[b'META']}")
    return payload


def parse_meta(payload: bytes, base: int | None = None) -> dict[str, Any]:
    """Read a META payload back into a dict.

    Raises:
        BadMeta: not one JSON object in UTF-8.
    """
    try:
        meta = json.loads(payload.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise BadMeta(f"META: not JSON ({reason}); get another copy of the file", base) from None
    if not isinstance(meta, dict):
        raise BadMeta("META: not a JSON object; get another copy of the file", base)
    return meta


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
