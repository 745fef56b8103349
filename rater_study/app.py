"""The web application: FastAPI over a study folder."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from rater_study import admin, rater_pages
from rater_study.pages import page
from rater_study.security import Shield
from rater_study.sessions import Study

HERE = Path(__file__).parent
MESSAGES = {404: "There is nothing here. Please use the personal link that you were given.",
            429: "Too many requests. Please wait a minute.",
            403: "That is not allowed.", 405: "That is not possible here."}


def create_app(study: Study, secret: str, public_url: str | None = None) -> FastAPI:
    """The application.

    Args:
        study: what is served.
        secret: opens the admin page.
        public_url: where raters reach it, for their links; default: as the admin's browser does.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, title="study")
    app.add_middleware(Shield)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.include_router(rater_pages.router(study))
    app.include_router(admin.router(study, secret, public_url))

    @app.get("/", response_class=HTMLResponse)
    def front() -> str:
        return page("message.html", text="Please use the personal link that you were given.")

    @app.exception_handler(HTTPException)
    def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        # Scripts ask for JSON; what they sent is never repeated to them.
        if request.method == "POST" or "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"error": str(error.detail)}, status)
        text = MESSAGES.get(status, "That did not work.")
        return HTMLResponse(page("message.html", text=text), status)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: Exception) -> Response:
        del request, error
        return JSONResponse({"error": "not understood"}, 422)

    return app
