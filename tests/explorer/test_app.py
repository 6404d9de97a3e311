"""The page's addresses on a whole run: every answer against what the run itself says."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.builders import SIDE, images
from tests.explorer.asking import N, Visit, floats, ints, packed, raw, sentence

from glo.data import to_uint8
from glo.decoders.decode import decode
from glo.latents.constraints import project
from glo.latents.interpolation import interpolate
from glo.latents.neighbours import neighbours
from glo.runs.run import open_run


def test_page_and_its_files(visit: Visit, labelled: Path) -> None:
    page = visit(labelled).get("/")
    assert page.headers["content-type"].startswith("text/html")
    script = visit(labelled).get("/static/api.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert visit(labelled).get("/static/icon.svg").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "address",
    [
        "/static/index.html",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2fetc%2fpasswd",
        "/static/no.js",
        "/api/picture/../config.toml",
        "/api/picture/..%2fconfig.toml",
        "/api/picture/%2e%2e%2fconfig.toml",
        "/api/picture/config.toml",
        "/api/picture/no.png",
        "/api/picture/",
        "/config.toml",
        "/api/map/tsne%00",
        "/api/map/no",
        "/api/nothing",
    ],
)
def test_nothing_else_is_there(visit: Visit, labelled: Path, address: str) -> None:
    answer = visit(labelled).get(address)
    assert answer.status_code == 404
    sentence(answer)


def test_wrong_method(visit: Visit, labelled: Path) -> None:
    assert visit(labelled).get("/api/decode").status_code == 405
    assert visit(labelled).post("/api/run").status_code == 405


def test_run(visit: Visit, labelled: Path) -> None:
    facts, run = visit(labelled).get("/api/run").json(), open_run(labelled)
    assert facts["state"] == "finished"
    assert facts["name"] == "labelled"
    assert facts["folder_name"] == "labelled"
    assert facts["kind"] == "image"
    assert facts["shape"] == [1, SIDE, SIDE]
    assert (facts["n"], facts["code_dim"], facts["epochs"]) == (N, 4, 4)
    assert facts["labels"] == ["dot", "ring"]
    assert facts["priors"][0] == facts["default_prior"] == run.prior_name
    assert "gaussian" in facts["priors"]
    assert facts["data"]
    assert facts["can_sample"]
    assert facts["tasks"] == ["inpaint"]
    assert facts["map_methods"][0] == "pca"
    assert run.summary is not None
    assert facts["mse"] == run.summary["mse"]
    assert run.errors is not None
    assert facts["typical_residual"] == pytest.approx(float(run.errors.median()))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_map(visit: Visit, labelled: Path, method: str) -> None:
    found, run = visit(labelled).get(f"/api/map/{method}").json(), open_run(labelled)
    rows = ints(found["rows"])
    assert sorted(rows) == list(range(N))
    assert found["n"] == N
    assert found["sprites"] is None
    np.testing.assert_array_equal(floats(found["codes"]).reshape(N, 4), run.codes[rows])
    places = floats(found["xy"]).reshape(N, 2)
    assert np.isfinite(places).all()
    assert places.std(0).min() > 0
    # The odd examples are rings.
    np.testing.assert_array_equal(ints(found["labels"]), rows % 2)


def test_directions(visit: Visit, labelled: Path) -> None:
    found, codes = visit(labelled).get("/api/directions").json(), open_run(labelled).codes
    assert found["k"] == 4
    axes = floats(found["components"]).reshape(4, 4)
    np.testing.assert_allclose(axes @ axes.T, np.eye(4), atol=1e-5)
    along = (codes.numpy() - floats(found["mean"])) @ axes.T
    np.testing.assert_allclose(floats(found["scales"]), along.std(0, ddof=1), rtol=1e-4)
    assert sum(found["explained"]) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [1, 33, 256])
def test_decode(visit: Visit, labelled: Path, count: int) -> None:
    codes = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    run = open_run(labelled)
    answer = visit(labelled).post("/api/decode", content=raw(codes))
    assert answer.headers["x-shape"] == f"{count},{SIDE},{SIDE},1"
    assert answer.headers["content-type"] == "application/octet-stream"
    seen = np.frombuffer(answer.content, np.uint8).reshape(count, SIDE, SIDE, 1)
    wanted = to_uint8(decode(run.decoder, project(codes, "ball"), run.settings.precision))
    assert np.abs(seen.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "0 bytes"),
        (b"xyz", "3 bytes"),
        (raw([0] * 3), "12 bytes"),
        (raw([0] * 6), "24 bytes"),
        (raw([0] * 4 * 257), "4,112 bytes"),
        (raw([0, np.nan, 0, 0]), "NaN"),
        (raw([0, np.inf, 0, 0]), "infinity"),
        (raw([3e38, 0, 0, 0]), "1e15"),
    ],
)
def test_bad_codes(visit: Visit, labelled: Path, body: bytes, said: str) -> None:
    for address in ("/api/decode", "/api/neighbours"):
        answer = visit(labelled).post(address, content=body)
        assert answer.status_code == 400
        assert said in sentence(answer)


def test_sample(visit: Visit, labelled: Path) -> None:
    client, run = visit(labelled), open_run(labelled)
    wish = {"prior": run.prior_name, "seed": 3, "temperature": 0.7, "label": None, "n": 5}
    answers = [client.post("/api/sample", json=wish).json() for _ in range(2)]
    assert answers[0] == answers[1]
    codes = floats(answers[0]["codes"]).reshape(5, 4)
    wanted = run.prior().sample(5, seed=3, temperature=0.7)
    np.testing.assert_array_equal(codes, wanted.numpy())
    later = client.post("/api/sample", json=wish | {"start": 2, "n": 1}).json()
    np.testing.assert_array_equal(floats(later["codes"]), codes[2])


def test_sample_of_a_label(visit: Visit, labelled: Path) -> None:
    wish = {"prior": "gaussian", "seed": 0, "temperature": 1, "n": 3}
    first, second = (
        visit(labelled).post("/api/sample", json=wish | {"label": label}).json() for label in (0, 1)
    )
    assert floats(first["codes"]).shape == (12,)
    assert first["codes"] != second["codes"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prior": "no"}, "prior is 'no'"),
        ({"prior": "labels"}, "prior is 'labels'"),
        ({"prior": "../checkpoint/final/decoder"}, "prior is"),
        ({"prior": None}, "prior is None"),
        ({"label": 2}, "label is 2"),
        ({"label": -1}, "label is -1"),
        ({"label": "ring"}, "label is 'ring'"),
        ({"n": 0}, "n is 0"),
        ({"n": 101}, "n is 101"),
        ({"n": True}, "n is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"start": -1}, "start is -1"),
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": "1"}, "temperature is '1'"),
    ],
)
def test_bad_samples(visit: Visit, labelled: Path, change: dict[str, object], said: str) -> None:
    wish = {"prior": "gaussian", "seed": 0, "temperature": 1, "label": None, "n": 1} | change
    answer = visit(labelled).post("/api/sample", content=json.dumps(wish))
    assert answer.status_code == 400
    assert said in sentence(answer)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"7", b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_objects(visit: Visit, labelled: Path, body: bytes) -> None:
    for address in ("sample", "walk", "restore"):
        answer = visit(labelled).post(f"/api/{address}", content=body)
        assert answer.status_code == 400
        assert "JSON" in sentence(answer)


def test_example(visit: Visit, labelled: Path) -> None:
    found, run = visit(labelled).get("/api/example/7").json(), open_run(labelled)
    assert (found["row"], found["label"], found["has_image"]) == (7, 1, True)
    assert run.errors is not None
    assert found["error"] == pytest.approx(float(run.errors[7]))
    np.testing.assert_array_equal(floats(found["code"]), run.codes[7])
    assert len(found["neighbours"]) == 8
    assert all(near["row"] != 7 for near in found["neighbours"])
    distances = [near["distance"] for near in found["neighbours"]]
    assert distances == sorted(distances)


@pytest.mark.parametrize("row", ["40", "-1", "1.5", "x", "9" * 30, "٣"])
@pytest.mark.parametrize("more", ["", "/image"])
def test_no_such_example(visit: Visit, labelled: Path, row: str, more: str) -> None:
    answer = visit(labelled).get(f"/api/example/{row}{more}")
    assert answer.status_code == 404
    assert "0 to 39" in sentence(answer)


def test_image_is_the_training_example(visit: Visit, labelled: Path) -> None:
    answer = visit(labelled).get("/api/example/7/image")
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images(N)[7])


def test_worst(visit: Visit, labelled: Path) -> None:
    found, run = visit(labelled).get("/api/worst?n=5").json(), open_run(labelled)
    assert run.errors is not None
    most = run.errors.topk(5)
    assert [each["row"] for each in found["rows"]] == most.indices.tolist()
    assert [each["error"] for each in found["rows"]] == pytest.approx(most.values.tolist())
    assert all(each["label"] == each["row"] % 2 for each in found["rows"])
    assert found["source"] == "saved"
    np.testing.assert_array_equal(
        floats(found["codes"]).reshape(5, 4), run.codes[most.indices].numpy()
    )
    assert len(visit(labelled).get("/api/worst").json()["rows"]) == N
    assert visit(labelled).get("/api/worst?n=0").status_code == 400


def test_neighbours(visit: Visit, labelled: Path) -> None:
    run = open_run(labelled)
    found = visit(labelled).post("/api/neighbours", content=raw(run.codes[3])).json()
    rows, distances = neighbours(run.codes, run.codes[3], 8)
    assert [near["row"] for near in found["neighbours"]] == rows.tolist()
    assert [near["distance"] for near in found["neighbours"]] == pytest.approx(distances.tolist())
    assert found["neighbours"][0] == {"row": 3, "distance": 0.0, "label": 1}
    np.testing.assert_array_equal(floats(found["codes"]).reshape(8, 4), run.codes[rows].numpy())


@pytest.mark.parametrize("path", ["straight", "sphere"])
def test_walk(visit: Visit, labelled: Path, path: str) -> None:
    codes = open_run(labelled).codes
    wish = {"from": packed(codes[0]), "to": packed(codes[1]), "steps": 6, "path": path}
    found = visit(labelled).post("/api/walk", json=wish).json()
    wanted = interpolate(codes[0], codes[1], 6, path=path, constraint="ball")  # type: ignore[arg-type]
    assert found["n"] == 6
    np.testing.assert_array_equal(floats(found["codes"]).reshape(6, 4), wanted.numpy())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 61}, "steps is 61"),
        ({"steps": 1}, "steps is 1"),
        ({"path": "round"}, "path is 'round'"),
        ({"path": ["straight"]}, "path is"),
        ({"from": "?"}, "from is not base64"),
        ({"from": None}, "from is not base64"),
        ({"to": packed([0, 0])}, "8 bytes"),
        ({"to": packed([0, 0, np.nan, 0])}, "NaN"),
    ],
)
def test_bad_walks(visit: Visit, labelled: Path, change: dict[str, object], said: str) -> None:
    wish = {"from": packed([0] * 4), "to": packed([1] * 4), "steps": 6, "path": "straight"}
    answer = visit(labelled).post("/api/walk", json=wish | change)
    assert answer.status_code == 400
    assert said in sentence(answer)


def test_pictures(visit: Visit, labelled: Path) -> None:
    listed = visit(labelled).get("/api/progress").json()["pictures"]
    names = {each["name"]: each["epoch"] for each in listed}
    assert names["epoch-0001.png"] == 1
    assert names["worst.png"] is None
    for name in names:
        answer = visit(labelled).get(f"/api/picture/{name}")
        assert answer.content == (labelled / "samples" / name).read_bytes()


def test_no_picture_behind_a_link(visit: Visit, labelled: Path) -> None:
    link = labelled / "samples" / "link.png"
    link.symlink_to(labelled / "config.toml")
    try:
        assert visit(labelled).get("/api/picture/link.png").status_code == 404
        names = [each["name"] for each in visit(labelled).get("/api/progress").json()["pictures"]]
        assert "link.png" not in names
    finally:
        link.unlink()
