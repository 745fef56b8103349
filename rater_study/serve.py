"""Runs the application until it is told to stop."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click
import uvicorn

from rater_study.app import create_app
from rater_study.errors import StudyError
from rater_study.security import new_token
from rater_study.sessions import Study


def serve(folder: Path, host: str, port: int, public_url: str | None = None,
          behind_proxy: bool = False, links: int = 0) -> None:
    """Serve a study; prints the addresses and the admin page's secret first.

    Args:
        folder: the study.
        host: address to listen on.
        port: 0 for any free one.
        public_url: where raters reach it, if that is another address.
        behind_proxy: believe a proxy on this machine about client addresses and https.
        links: personal links to make and print at once.
    """
    study = Study(folder)
    listener = bind(host, port)
    port = int(listener.getsockname()[1])
    shown = f"[{host}]" if ":" in host else host
    url = (public_url or f"http://{shown}:{port}").rstrip("/")
    secret = new_token()
    app = create_app(study, secret, public_url)
    click.echo(f"admin page  {url}/admin\nsecret      {secret}")
    for _ in range(links):
        click.echo(f"rater link  {url}/r/{study.enrol()}")
    # Output may be a pipe that someone waits on.
    sys.stdout.flush()
    # Links are secrets, so requests are not logged; headers that name the software are left out.
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False,
                            proxy_headers=behind_proxy, forwarded_allow_ips="127.0.0.1,::1",
                            timeout_keep_alive=30)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        study.storage.close()


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens, or a one-line error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise StudyError(f"{host}:{port}: cannot listen there ({error})",
                         "choose another --host or --port") from None
    return listener
