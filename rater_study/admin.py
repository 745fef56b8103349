"""The admin page: progress, new links, a new link for a lost one. No method name is on it.

It opens with the secret that `serve` printed; a cookie then stands for it until the server ends.
"""

# Annotations are not postponed here: FastAPI could not resolve those inside `router`.
import hmac
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from rater_study.errors import StudyError
from rater_study.pages import page
from rater_study.screening import quick_look
from rater_study.security import Limiter, new_token
from rater_study.sessions import Study

COOKIE = "study_admin"
#: Wrong secrets from one address, and the most links made at once.
WRONG_RATE, WRONG_BURST = 0.1, 5.0
MOST_LINKS = 100


async def form(request: Request) -> dict[str, str]:
    """The fields of a plain form, the last of each name."""
    body = (await request.body()).decode("utf-8", "replace")
    return {k: v[-1] for k, v in parse_qs(body).items()}


def router(study: Study, secret: str, public_url: str | None) -> APIRouter:
    """The routes; `secret` opens them."""
    routes = APIRouter(prefix="/admin")
    wrong = Limiter(WRONG_RATE, WRONG_BURST)
    session = new_token()
    Form = Annotated[dict[str, str], Depends(form)]

    def is_admin(request: Request) -> bool:
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), session.encode())

    def admin(request: Request) -> None:
        """403 without the cookie, or where another site sends the form."""
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        if not is_admin(request) or foreign:
            raise HTTPException(403, "log in at /admin")

    def shown(request: Request, links: list[tuple[int, str]]) -> HTMLResponse:
        base = (public_url or str(request.base_url)).rstrip("/")
        raters = study.raters()
        return HTMLResponse(page(
            "admin.html", raters=raters, looks=quick_look(study.storage),
            links=[(n, f"{base}/r/{token}") for n, token in links],
            votes=sum(given for _, given, _ in raters), settings=study.settings,
            clips=len(study.manifest.clips), conditions=len(study.manifest.conditions)))

    @routes.get("")
    def enter(request: Request) -> HTMLResponse:
        return shown(request, []) if is_admin(request) else HTMLResponse(page("login.html"))

    @routes.post("")
    def login(request: Request, given: Form) -> Response:
        address = request.client.host if request.client else ""
        if not hmac.compare_digest(given.get("secret", "").encode(), secret.encode()):
            raise HTTPException(403 if wrong.allows(address) else 429, "wrong secret")
        answer = RedirectResponse("/admin", 303)
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", path="/admin",
                          secure=request.url.scheme == "https")
        return answer

    @routes.post("/links", dependencies=[Depends(admin)])
    def links(request: Request, given: Form) -> HTMLResponse:
        count = given.get("count", "1")
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST_LINKS):
            raise HTTPException(422, f"1 to {MOST_LINKS} links at once")
        tokens = [study.enrol() for _ in range(int(count))]
        return shown(request, [(study.identify(t) or 0, t) for t in tokens])

    @routes.post("/renew", dependencies=[Depends(admin)])
    def renew(request: Request, given: Form) -> HTMLResponse:
        try:
            number = int(given.get("rater", ""))
            return shown(request, [(number, study.renew(number))])
        except (ValueError, StudyError):
            raise HTTPException(404, "no such rater") from None

    return routes
