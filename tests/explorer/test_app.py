"""Routes of the page, its files, and the lifespan of the application."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.builders import SIDE, images
from tests.explorer.client import TOKEN, Visit, check_refusal, encode, lines, raw

from glo.errors import UserError
from glo.explorer import make_app


@pytest.mark.parametrize(
    ("address", "kind"),
    [("", "text/html"), ("static/api.js", "text/javascript"), ("static/icon.svg", "image/svg+xml")],
)
def test_files_of_the_page(visit: Visit, labelled: Path, address: str, kind: str) -> None:
    assert visit(labelled).get(f"/{address}").headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "address",
    [
        *(f"static/{name}" for name in ("index.html", "no.js", "../app.py", "%2e%2e/app.py")),
        *("static/..%2fapp.py", "static/%2fetc%2fpasswd", "config.toml", "api/nothing"),
        *("api/picture/", "api/picture/no.png", "api/picture/config.toml"),
        *(f"api/picture/{up}config.toml" for up in ("../", "..%2f", "%2e%2e%2f")),
        *("api/map/tsne%00", "api/map/no"),
    ],
)
def test_nothing_else_is_served(visit: Visit, labelled: Path, address: str) -> None:
    check_refusal(visit(labelled).get(f"/{address}"), 404)


def test_wrong_method(visit: Visit, labelled: Path) -> None:
    check_refusal(visit(labelled).get("/api/decode"), 405)
    check_refusal(visit(labelled).post("/api/run"), 405)


def test_precomputation_at_the_start(labelled: Path) -> None:
    app = make_app(labelled, token=TOKEN, port=80)
    with TestClient(app, base_url="http://127.0.0.1", headers={"host": "127.0.0.1:80"}) as client:
        response = client.post("/api/decode", params={"token": TOKEN}, content=raw([0] * 4))
        assert response.status_code == 200


def test_concurrent_searches_and_decodes(visit: Visit, labelled: Path) -> None:
    client = visit(labelled)
    mask = np.tile(np.arange(SIDE) > 2, (SIDE, 1))
    hole = {"pixels": encode(images(1), "u1"), "mask": encode(mask, "u1"), "n": 2}
    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(client.post, "/api/restore", json=hole) for _ in range(2)]
        decodes = [pool.submit(client.post, "/api/decode", content=raw([0] * 4)) for _ in range(20)]
        assert len({decode.result().content for decode in decodes}) == 1
        assert len({lines(search.result())[-1]["codes"] for search in searches}) == 1


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run folder"):
        make_app(tmp_path, token=TOKEN, port=1)
