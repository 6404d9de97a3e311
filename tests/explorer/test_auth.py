"""Token, cookie, Host and Origin; the size limit; headers of every response."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.explorer.client import PORT, TOKEN, Visit, check_refusal, client_of, raw

from glo.explorer.auth import MAX_BYTES

WITH_TOKEN = {"token": TOKEN}


@pytest.fixture
def stranger(bare: Path) -> Iterator[TestClient]:
    """Client without a token."""
    with client_of(bare, follow_redirects=False) as client:
        yield client


def test_printed_address_sets_the_cookie(stranger: TestClient) -> None:
    response = stranger.get("/", params=WITH_TOKEN)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"glo-{PORT}={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert stranger.get("/api/run").status_code == 200


@pytest.mark.parametrize("address", ["/", "/static/api.js", "/api/run", "/api/map/pca", "/no"])
@pytest.mark.parametrize("token", [None, "", "wrong", "the-tokem", "ungültig"])
def test_nothing_without_the_token(stranger: TestClient, address: str, token: str | None) -> None:
    response = stranger.get(address, params={} if token is None else {"token": token})
    check_refusal(response, 403, "token")
    assert response.headers["x-frame-options"] == "DENY"


def test_wrong_and_broken_cookies(stranger: TestClient) -> None:
    for cookie in (f"glo-{PORT}=wrong", f"glo-{PORT + 1}={TOKEN}", "=;;\x7f", f"glo-{PORT}"):
        assert stranger.get("/api/run", headers={"cookie": cookie}).status_code == 403
    assert stranger.get("/api/run", headers={"cookie": f"glo-{PORT}={TOKEN}"}).status_code == 200


def test_token_without_cookie(stranger: TestClient) -> None:
    response = stranger.get("/api/run", params=WITH_TOKEN)
    assert response.status_code == 200
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", ""],
)
def test_other_hosts(stranger: TestClient, host: str) -> None:
    response = stranger.get("/api/run", params=WITH_TOKEN, headers={"host": host})
    check_refusal(response, 400, "127.0.0.1")


def test_repeated_host(stranger: TestClient) -> None:
    hosts = [("host", f"127.0.0.1:{PORT}"), ("host", "evil.example")]
    check_refusal(stranger.get("/api/run", params=WITH_TOKEN, headers=hosts), 400)


def test_localhost_is_this_machine(stranger: TestClient) -> None:
    headers = {"host": f"localhost:{PORT}"}
    assert stranger.get("/api/run", params=WITH_TOKEN, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        *((f"http://{host}:{PORT}", 200) for host in ("127.0.0.1", "localhost")),
        *((origin, 403) for origin in ("http://evil.example", "null", "http://127.0.0.1", "")),
        (f"https://127.0.0.1:{PORT}", 403),
    ],
)
def test_posts_by_origin(visit: Visit, bare: Path, origin: str, status: int) -> None:
    response = visit(bare).post("/api/decode", content=raw([0] * 4), headers={"origin": origin})
    assert response.status_code == status


def test_too_large_with_and_without_its_length(visit: Visit, bare: Path) -> None:
    pieces = (bytes(2**20) for _ in range(MAX_BYTES // 2**20 + 2))
    for content in (bytes(MAX_BYTES + 1), pieces):
        check_refusal(visit(bare).post("/api/encode", content=content), 413, "20 MB")


def test_absurd_length_is_refused_before_the_body(visit: Visit, bare: Path) -> None:
    headers = {"content-length": str(2**40)}
    check_refusal(visit(bare).post("/api/encode", content=b"x", headers=headers), 413)


@pytest.mark.parametrize("address", ["/", "/api/run", "/api/nothing", "/api/example/99999"])
def test_security_headers(visit: Visit, bare: Path, address: str) -> None:
    headers = visit(bare).get(address).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert not any("access-control" in name for name in headers)
