"""What raters' browsers ask for, all of it below /r/TOKEN.

    GET  /r/TOKEN                  consent, the rating page or thanks, by where the rater is
    POST /r/TOKEN/consent          {"name": ...}
    GET  /r/TOKEN/state            what comes next (sessions.Study.state)
    POST /r/TOKEN/practice         the practice pair is done
    POST /r/TOKEN/vote             {"slot", "choice", "ticket", "plays", "shown_ms", ...}
    GET  /r/TOKEN/v/SLOT/SIDE      a video of the pair that is due; byte ranges work
"""

from __future__ import annotations

import unicodedata
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from rater_study.pages import page
from rater_study.security import Limiter
from rater_study.sessions import Refused, Study
from rater_study.storage import Vote

#: Requests of one rater: people need one a second at most, their browsers some at once.
RATER_RATE, RATER_BURST = 40.0, 80.0
#: Wrong tokens from one address.
WRONG_RATE, WRONG_BURST = 0.5, 20.0
LONGEST_NAME = 60


class Strict(BaseModel):
    """A request body in which unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ConsentBody(Strict):
    """Consent, with a name or pseudonym that may be empty."""

    name: str = Field(default="", max_length=LONGEST_NAME)


class VoteBody(Strict):
    """A vote."""

    slot: int = Field(ge=0, le=1_000_000)
    choice: Literal["left", "right", "tie"]
    ticket: str = Field(max_length=80)
    plays: int = Field(ge=0, le=100_000)
    shown_ms: int = Field(ge=0, le=10**9)
    drift_ms: float | None = Field(default=None, ge=0, le=10**6, allow_inf_nan=False)
    window: str = Field(default="", max_length=32, pattern=r"^[0-9x@.]*$")


def plain_name(text: str) -> str:
    """A name without control characters and outer spaces; pages escape the rest."""
    return "".join(c for c in text if unicodedata.category(c)[0] != "C").strip()


def router(study: Study) -> APIRouter:
    """The routes over a study."""
    routes = APIRouter(prefix="/r/{token}")
    requests = Limiter(RATER_RATE, RATER_BURST)
    wrong = Limiter(WRONG_RATE, WRONG_BURST)

    # A plain function and no dependency: each of these costs a turn through the thread pool.
    def rater(token: str, request: Request) -> int:
        """The rater's number; 404 for a wrong token, 429 for too much of anything."""
        number = study.identify(token) if len(token) < 80 else None
        if number is None:
            address = request.client.host if request.client else ""
            raise HTTPException(404 if wrong.allows(address) else 429, "unknown link")
        if not requests.allows(str(number)):
            raise HTTPException(429, "too many requests")
        return number

    @routes.get("", response_class=HTMLResponse)
    def enter(token: str, request: Request) -> str:
        number = rater(token, request)
        stage = study.stage(number)
        template = {"consent": "consent.html", "done": "thanks.html"}.get(stage, "rate.html")
        return page(template, base=f"/r/{token}", settings=study.settings,
                    consent=study.consent_text(), reference=bool(study.manifest.gold_clips))

    @routes.post("/consent")
    def consent(token: str, request: Request, body: ConsentBody) -> dict[str, Any]:
        number = rater(token, request)
        study.storage.consent(number, plain_name(body.name))
        return study.state(number)

    @routes.get("/state")
    def state(token: str, request: Request) -> dict[str, Any]:
        return study.state(rater(token, request))

    @routes.post("/practice")
    def practice(token: str, request: Request) -> dict[str, Any]:
        number = rater(token, request)
        _do(lambda: study.practised(number))
        return study.state(number)

    @routes.post("/vote")
    def vote(token: str, request: Request, body: VoteBody) -> dict[str, Any]:
        number = rater(token, request)
        given = Vote(body.choice, body.shown_ms, body.plays, body.drift_ms, body.window)
        _do(lambda: study.vote(number, body.slot, body.ticket, given))
        return study.state(number)

    @routes.get("/v/{slot}/{side}", response_class=FileResponse)
    def video(token: str, request: Request, slot: str, side: str) -> FileResponse:
        path = study.video(rater(token, request), slot, side)
        if path is None:
            raise HTTPException(404, "not the pair that is due")
        kind = "video/webm" if path.suffix == ".webm" else "video/mp4"
        return FileResponse(path, media_type=kind)

    return routes


def _do(step: Any) -> None:
    """Run a step; what it refuses becomes its HTTP status."""
    try:
        step()
    except Refused as refused:
        raise HTTPException(refused.status, refused.reason) from None
