"""Who gets in: token, cookie, host and origin; how much one may send; what every answer carries."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.explorer.asking import PORT, TOKEN, Visit, browser, raw, sentence

from glo.explorer.auth import MAX_BYTES


@pytest.fixture
def stranger(bare: Path) -> Iterator[TestClient]:
    """Somebody who has not opened the printed address."""
    with browser(bare, follow_redirects=False) as client:
        yield client


def test_printed_address_lets_in(stranger: TestClient) -> None:
    answer = stranger.get("/", params={"token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"glo-{PORT}={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert stranger.get("/api/run").status_code == 200


@pytest.mark.parametrize("address", ["/", "/static/api.js", "/api/run", "/api/map/pca", "/no"])
@pytest.mark.parametrize("token", [None, "", "wrong", "the-tokem", "ungültig"])
def test_nothing_without_the_token(stranger: TestClient, address: str, token: str | None) -> None:
    answer = stranger.get(address, params={} if token is None else {"token": token})
    assert answer.status_code == 403
    assert "token" in sentence(answer)


def test_wrong_and_broken_cookies(stranger: TestClient) -> None:
    for cookie in (f"glo-{PORT}=wrong", f"glo-{PORT + 1}={TOKEN}", "=;;\x7f", f"glo-{PORT}"):
        assert stranger.get("/api/run", headers={"cookie": cookie}).status_code == 403
    assert stranger.get("/api/run", headers={"cookie": f"glo-{PORT}={TOKEN}"}).status_code == 200


def test_token_serves_without_cookie(stranger: TestClient) -> None:
    assert stranger.get("/api/run", params={"token": TOKEN}).status_code == 200
    assert "set-cookie" not in stranger.get("/api/run", params={"token": TOKEN}).headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", ""],
)
def test_other_hosts(stranger: TestClient, host: str) -> None:
    answer = stranger.get("/api/run", params={"token": TOKEN}, headers={"host": host})
    assert answer.status_code == 400
    assert "127.0.0.1" in sentence(answer)


def test_localhost_is_this_machine(stranger: TestClient) -> None:
    headers = {"host": f"localhost:{PORT}"}
    assert stranger.get("/api/run", params={"token": TOKEN}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1", ""],
)
def test_other_pages_may_not_post(visit: Visit, bare: Path, origin: str) -> None:
    client = visit(bare)
    answer = client.post("/api/decode", content=raw([0] * 4), headers={"origin": origin})
    assert answer.status_code == 403
    assert "page" in sentence(answer)


def test_our_page_may_post(visit: Visit, bare: Path) -> None:
    for host in ("127.0.0.1", "localhost"):
        headers = {"origin": f"http://{host}:{PORT}"}
        answer = visit(bare).post("/api/decode", content=raw([0] * 4), headers=headers)
        assert answer.status_code == 200


def test_too_large_with_and_without_its_length(visit: Visit, bare: Path) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_BYTES // 2**20 + 2):
            yield bytes(2**20)

    for content in (bytes(MAX_BYTES + 1), pieces()):
        answer = visit(bare).post("/api/encode", content=content)
        assert answer.status_code == 413
        assert "20 MB" in sentence(answer)


def test_absurd_length_is_not_waited_for(visit: Visit, bare: Path) -> None:
    headers = {"content-length": str(2**40)}
    assert visit(bare).post("/api/encode", content=b"x", headers=headers).status_code == 413


@pytest.mark.parametrize("address", ["/", "/api/run", "/api/nothing", "/api/example/99999"])
def test_every_answer_is_guarded(visit: Visit, bare: Path, address: str) -> None:
    headers = visit(bare).get(address).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert not any("access-control" in name for name in headers)


def test_refusals_are_guarded_too(stranger: TestClient) -> None:
    answer = stranger.get("/api/run")
    assert answer.status_code == 403
    assert answer.headers["x-frame-options"] == "DENY"
