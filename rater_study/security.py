"""What stands between the study and the network: headers, limits, secrets, tickets."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rater_study.errors import StudyError

#: Bytes of a request body. Votes and forms are below 1 KiB.
MOST_BODY = 4096
KEY_FILE = "key"
HEADERS = {
    # Videos are fetched whole and played from memory, hence blob: for media.
    "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    # A rater's link is a secret that must not travel to other sites.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), picture-in-picture=()",
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}
#: Tell about a file's age and content, and with that perhaps about its method.
DROPPED = {b"etag", b"last-modified"}


def new_token() -> str:
    """A rater's token or an admin's secret: 192 random bits, safe in URLs."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def study_key(folder: Path) -> bytes:
    """The study's secret, made at its first use and kept, so that tickets survive a restart."""
    path = folder / KEY_FILE
    try:
        if not path.exists():
            # Written beside and linked: two starts at once cannot make two keys.
            partial = path.with_name(f".{KEY_FILE}-{os.getpid()}-{secrets.token_hex(4)}")
            partial.touch(mode=0o600)
            partial.write_bytes(secrets.token_bytes(32))
            try:
                os.link(partial, path)
            except FileExistsError:
                pass
            finally:
                partial.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}",
                         "check the study folder's permissions") from None


class Tickets:
    """Signed notes of when a slot was handed out: no vote before one play, on any server."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, rater: int, slot: int, now: float) -> str:
        """A ticket for a slot at time `now` in seconds."""
        stamp = str(int(now * 1000))
        return f"{stamp}.{self._sign(rater, slot, stamp)}"

    def age(self, ticket: str, rater: int, slot: int, now: float) -> float | None:
        """Seconds since a ticket was issued; None where it is forged or for something else."""
        stamp, _, signature = ticket.partition(".")
        if not (stamp.isascii() and stamp.isdigit() and signature.isascii()):
            return None
        if not hmac.compare_digest(signature, self._sign(rater, slot, stamp)):
            return None
        return now - int(stamp) / 1000

    def _sign(self, rater: int, slot: int, stamp: str) -> str:
        text = f"{rater}/{slot}/{stamp}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:32]


class Limiter:
    """Token buckets by key: `burst` at once, `rate` per second in the long run."""

    MOST_KEYS = 10_000

    def __init__(self, rate: float, burst: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, key: str) -> bool:
        """Take one; False where the bucket is empty."""
        now = self._clock()
        if len(self._buckets) > self.MOST_KEYS:
            self._buckets = {k: b for k, b in self._buckets.items()
                             if (now - b[1]) * self.rate < self.burst}
        left, since = self._buckets.get(key, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        self._buckets[key] = (max(0.0, left - 1), now)
        return left >= 1


class Shield:
    """ASGI middleware: security headers on every response, and no body above MOST_BODY."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 413 at once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(k, v) for k, v in message.get("headers", [])
                        if k.lower() not in DROPPED and k.lower().decode() not in HEADERS]
                message["headers"] = kept + [(k.encode(), v.encode()) for k, v in HEADERS.items()]
            await send(message)

        body = await self._body(scope, receive)
        if body is None:
            await _refuse(guarded)
            return
        await self._app(scope, _replay(body, receive), guarded)

    @staticmethod
    async def _body(scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, None where it is too large by its header or in fact."""
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BODY:
            return None
        if scope["method"] in ("GET", "HEAD"):
            return b""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MOST_BODY:
                return None
        return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then what else comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send) -> None:
    text = b'{"error": "too large"}'
    await send({"type": "http.response.start", "status": 413, "headers": [
        (b"content-type", b"application/json"), (b"content-length", str(len(text)).encode()),
        (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": text})
