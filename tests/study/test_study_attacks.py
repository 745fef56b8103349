"""What hostile or broken browsers send: each is refused, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rater_study import rater_pages
from rater_study.app import create_app
from rater_study.manifest import MEDIA
from rater_study.security import MOST_BODY, Limiter, Tickets, new_token, study_key
from rater_study.sessions import Study

SECRET = "the-admin-secret"
PLAY = 1 / 30


@pytest.fixture
def client(study: Study) -> Iterator[TestClient]:
    with TestClient(create_app(study, SECRET), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def real(folder: Path) -> Iterator[tuple[Study, TestClient]]:
    """Over the study with real videos and telling method names."""
    study = Study(folder)
    with TestClient(create_app(study, SECRET), raise_server_exceptions=False) as opened:
        yield study, opened
    study.storage.close()


def ready(study: Study) -> str:
    """A rater past consent and practice."""
    token = study.enrol()
    number = study.identify(token)
    assert number is not None
    study.storage.consent(number, "")
    study.storage.practised(number)
    return token


def ballot(state: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"slot": state["slot"], "choice": "left", "ticket": state["ticket"], "plays": 1,
            "shown_ms": 40, **changes}


def votes(study: Study) -> int:
    return int(study.storage.rows("SELECT COUNT(*) FROM votes")[0][0])


def test_replayed_vote_counts_once(study: Study, client: TestClient) -> None:
    url = f"/r/{ready(study)}"
    state = client.get(f"{url}/state").json()
    time.sleep(PLAY)
    assert client.post(f"{url}/vote", json=ballot(state)).json()["slot"] == 1
    for choice in ("left", "right"):
        again = client.post(f"{url}/vote", json=ballot(state, choice=choice))
        assert (again.status_code, again.json()) == (409, {"error": "this pair has its vote"})
    assert study.storage.rows("SELECT slot, choice FROM votes") == [(0, "left")]


def test_vote_before_one_play(study: Study, client: TestClient) -> None:
    url = f"/r/{ready(study)}"
    # The ticket of a clip that takes longer than this request.
    for clip in study.manifest.clips:
        object.__setattr__(clip, "frames", 300)
    state = client.get(f"{url}/state").json()
    assert client.post(f"{url}/vote", json=ballot(state)).status_code == 425
    assert votes(study) == 0


def test_forged_tickets(study: Study, client: TestClient) -> None:
    first, second = f"/r/{ready(study)}", f"/r/{ready(study)}"
    state, other = client.get(f"{first}/state").json(), client.get(f"{second}/state").json()
    time.sleep(PLAY)
    stamp, _, signature = state["ticket"].partition(".")
    forged = ["", ".", "1.x", f"{int(stamp) - 5000}.{signature}", f"{stamp}.{'0' * 32}",
              other["ticket"], f"²{stamp}.{signature}", f"{stamp}.é"]
    for ticket in forged:
        assert client.post(f"{first}/vote", json=ballot(state, ticket=ticket)).status_code == 403
    assert client.post(f"{first}/vote", json=ballot(state, slot=1)).status_code == 403
    assert votes(study) == 0


def test_votes_out_of_turn(study: Study, client: TestClient) -> None:
    token = study.enrol()
    state = {"slot": 0, "ticket": "1.x"}
    answer = client.post(f"/r/{token}/vote", json=ballot(state))
    assert answer.json() == {"error": "consent comes first"}
    assert client.post(f"/r/{token}/practice").status_code == 409
    token = ready(study)
    ticket = Tickets(study_key(study.folder)).issue(1, 5, time.time() - 9)
    answer = client.post(f"/r/{token}/vote", json=ballot({"slot": 5, "ticket": ticket}))
    assert answer.json() == {"error": "another pair comes first"}
    assert votes(study) == 0


MALFORMED: list[dict[str, Any]] = [
    {"choice": "both"}, {"slot": -1}, {"slot": "0"}, {"slot": 1e300}, {"plays": -1}, {"rater": 3},
    {"shown_ms": 10**12}, {"drift_ms": "NaN"}, {"window": "<script>"}, {"ticket": "x" * 81},
    {"ticket": None}, {"choice": "tie"}]


def test_malformed_votes(study: Study, client: TestClient) -> None:
    url = f"/r/{ready(study)}"
    state = client.get(f"{url}/state").json()
    time.sleep(PLAY)
    for change in MALFORMED:
        answer = client.post(f"{url}/vote", json=ballot(state, **change))
        assert answer.status_code == 422, change
        assert votes(study) == 0 and "script" not in answer.text


def test_forged_tokens(study: Study, client: TestClient) -> None:
    token = ready(study)
    wrong = [new_token(), token[:-1], token.swapcase(), "a" * 500, "%00", "'--"]
    for guess in wrong:
        assert client.get(f"/r/{guess}/state").status_code in (404, 429), guess
        assert client.get(f"/r/{guess}").status_code in (404, 429)
    statuses = [client.get(f"/r/{new_token()}/state").status_code for _ in range(30)]
    assert statuses[-1] == 429
    # Those who have a link are not shut out by someone else's guesses.
    assert client.get(f"/r/{token}/state").status_code == 200
    assert not study.storage.rows("SELECT 1 FROM raters WHERE token_hash = ?", token)


def test_too_many_requests_of_a_rater(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rater_pages, "RATER_RATE", 0.01)
    monkeypatch.setattr(rater_pages, "RATER_BURST", 5)
    urls = [f"/r/{ready(study)}/state" for _ in range(2)]
    with TestClient(create_app(study, SECRET)) as client:
        assert [client.get(urls[0]).status_code for _ in range(6)] == [200] * 5 + [429]
        assert client.get(urls[1]).status_code == 200
    clock = [0.0]
    limiter = Limiter(1, 2, lambda: clock[0])
    assert [limiter.allows("a") for _ in range(3)] == [True, True, False]
    assert limiter.allows("b")
    clock[0] = 1
    assert limiter.allows("a") and not limiter.allows("a")


SLOTS = ("0", "practice", "1", "-1", "%2e%2e", "0%00")
SIDES = ("left", "..%2fmanifest.json", "%2e%2e%2f%2e%2e%2fkey", "gold", "....//....//etc/passwd",
         "left%00.mp4", "/etc/passwd")


def test_path_traversal(real: tuple[Study, TestClient]) -> None:
    study, client = real
    url = f"/r/{ready(study)}"
    for slot, side in product(SLOTS, SIDES):
        answer = client.get(f"{url}/v/{slot}/{side}")
        assert (answer.status_code == 200) == ((slot, side) == ("0", "left")), (slot, side)


NOT_SERVED = (
    "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fpyproject.toml",
    "/manifest.json", "/votes.sqlite", "/key", "/media/", "/openapi.json", "/docs",
    "/static//etc/passwd", "/report/report.json")


def test_nothing_else_is_served(client: TestClient) -> None:
    for path in NOT_SERVED:
        assert client.get(path).status_code == 404, path


def test_files_stay_in_the_study(real: tuple[Study, TestClient], tmp_path: Path) -> None:
    study, client = real
    token = ready(study)
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    for file in set(study.manifest.files.values()):
        (study.folder / MEDIA / file).unlink()
        (study.folder / MEDIA / file).symlink_to(secret)
    assert client.get(f"/r/{token}/v/0/left").status_code == 404
    files = dict.fromkeys(study.manifest.files, "../manifest.json")
    study.manifest.__dict__["files"] = files
    assert client.get(f"/r/{token}/v/0/left").status_code == 404


def test_byte_ranges(real: tuple[Study, TestClient]) -> None:
    study, client = real
    url = f"/r/{ready(study)}/v/0/left"
    whole = client.get(url)
    part = client.get(url, headers={"range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert client.get(url, headers={"range": f"bytes={10**9}-"}).status_code == 416
    assert whole.headers["content-type"] == "video/mp4"
    assert not {"etag", "last-modified"} & set(whole.headers)


def test_oversized_bodies(study: Study, client: TestClient) -> None:
    url = f"/r/{study.enrol()}/consent"
    assert client.post(url, json={"name": "x" * MOST_BODY}).status_code == 413
    # Without a length, in pieces.
    pieces = (b"x" * 1000 for _ in range(50))
    assert client.post(url, content=pieces).status_code == 413
    assert client.post(url, json={"name": "x" * 61}).status_code == 422
    lying = {"content-length": "-5"}
    assert client.request("POST", url, headers=lying, content=b"{}").status_code == 413
    assert study.storage.rater(0).consented_at is None


def test_script_in_the_name(study: Study, client: TestClient) -> None:
    name = "<script>alert(1)</script>\x00\x1b[2J"
    url = f"/r/{study.enrol()}"
    assert client.post(f"{url}/consent", json={"name": name}).status_code == 200
    client.post("/admin", data={"secret": SECRET})
    shown = client.get("/admin").text
    assert "<script>" not in shown and "&lt;script&gt;alert(1)" in shown
    assert study.storage.rater(0).label == "<script>alert(1)</script>[2J"


def test_headers_everywhere(study: Study, client: TestClient) -> None:
    token = ready(study)
    for path in ("/", f"/r/{token}", f"/r/{token}/state", "/nothing", "/static/rate.js", "/admin"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store" and "server" not in headers


def test_no_method_name_reaches_a_rater(real: tuple[Study, TestClient]) -> None:
    """Every page, header and file of a whole session, and the admin page."""
    study, client = real
    url = f"/r/{study.enrol()}"
    seen = [client.get(p) for p in ("/", url, "/static/rate.js", "/static/players.js")]
    seen.append(client.post(f"{url}/consent", json={"name": "A"}))
    seen += [client.get(url), client.get(f"{url}/v/practice/left")]
    state = client.post(f"{url}/practice").json()
    while state["stage"] == "rate":
        seen += [client.get(f"{url}/v/{state['slot']}/{s}") for s in ("left", "right", "reference")]
        time.sleep(state["seconds"])
        seen.append(client.post(f"{url}/vote", json=ballot(state)))
        assert seen[-1].status_code == 200
        state = seen[-1].json()
    seen += [client.get(url), client.post(f"{url}/vote", json={}), client.get(f"{url}/v/9/left")]
    client.post("/admin", data={"secret": SECRET})
    seen.append(client.get("/admin"))
    words = {w.encode() for n in study.manifest.names() for w in (n, n.split("@")[0].split()[0])}
    words |= {b"zebra", b"walrus", b"gold\"", *(c.name.encode() for c in study.manifest.clips)}
    words -= {b"one"}
    for answer in seen:
        everything = answer.content + repr(answer.headers).encode() + str(answer.url).encode()
        for word in words:
            assert word not in everything, (word, answer.url)
    files = set(study.manifest.files.values())
    assert not any(f.encode() in answer.content for f in files for answer in seen)


def test_admin_needs_the_secret(study: Study, client: TestClient) -> None:
    assert "secret" in client.get("/admin").text and "raters;" not in client.get("/admin").text
    assert client.post("/admin/links", data={"count": "1"}).status_code == 403
    guesses = [client.post("/admin", data={"secret": f"guess{i}"}).status_code for i in range(8)]
    assert guesses[0] == 403 and guesses[-1] == 429
    assert client.post("/admin", data={"secret": SECRET}).status_code == 200
    foreign = {"origin": "https://evil.example"}
    assert client.post("/admin/links", data={"count": "1"}, headers=foreign).status_code == 403
    assert client.post("/admin/links", data={"count": "1000"}).status_code == 422
    assert study.raters() == []
    made = client.post("/admin/links", data={"count": "2"}, headers={"origin": "http://testserver"})
    assert made.text.count("/r/") == 2 and len(study.raters()) == 2
    link = client.post("/admin/renew", data={"rater": "1"}).text.split("<code>http://testserver")[1]
    assert client.get(link.split("<")[0] + "/state").json() == {"stage": "consent"}
    assert client.post("/admin/renew", data={"rater": "77"}).status_code == 404
