"""Handlers of single requests, compared with the run."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.builders import SIDE, images
from tests.explorer.client import N, Visit, check_refusal, decode, encode, raw

from glo.data import to_uint8
from glo.decoders.decode import decode as decode_codes
from glo.latents.constraints import project
from glo.latents.interpolation import interpolate
from glo.latents.neighbours import neighbours
from glo.runs.code_map import read_code_map, write_code_map
from glo.runs.run import open_run
from glo.workflows.anomaly import fit_anomaly_model


def test_run(visit: Visit, labelled: Path) -> None:
    values, run = visit(labelled).get("/api/run").json(), open_run(labelled)
    assert run.summary is not None
    assert run.errors is not None
    expected = {
        "state": "finished",
        "name": "labelled",
        "folder_name": "labelled",
        "kind": "image",
        "shape": [1, SIDE, SIDE],
        "shows_pixels": True,
        "n": N,
        "code_dim": 4,
        "epochs": 4,
        "labels": ["dot", "ring"],
        "default_prior": run.prior_name,
        "data": True,
        "can_sample": True,
        "tasks": ["inpaint"],
        "mse": run.summary["mse"],
        "typical_residual": pytest.approx(float(run.errors.median())),
    }
    assert {name: values[name] for name in expected} == expected
    assert values["priors"][0] == run.prior_name
    assert "gaussian" in values["priors"]
    assert values["map_methods"][0] == "pca"


def test_the_stored_map_is_first(visit: Visit, labelled: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(labelled, tmp_path / "run"))
    codes = open_run(copy).codes
    write_code_map(copy, codes)
    client = visit(copy)
    assert client.get("/api/run").json()["map_methods"][:2] == ["tsne", "pca"]
    points = decode(client.get("/api/map/tsne").json()["xy"], shape=(N, 2))
    np.testing.assert_array_equal(points, read_code_map(copy, codes))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_map(visit: Visit, labelled: Path, method: str) -> None:
    values, run = visit(labelled).get(f"/api/map/{method}").json(), open_run(labelled)
    rows = decode(values["rows"], "<i4")
    assert sorted(rows) == list(range(N))
    assert (values["n"], values["sprites"]) == (N, None)
    response = visit(labelled).post("/api/codes", content=rows.tobytes())
    np.testing.assert_array_equal(
        np.frombuffer(response.content, "<f4").reshape(N, 4), run.codes[rows]
    )
    points = decode(values["xy"], shape=(N, 2))
    assert np.isfinite(points).all()
    assert points.std(0).min() > 0
    np.testing.assert_array_equal(decode(values["labels"], "<i4"), rows % 2)


def test_directions(visit: Visit, labelled: Path) -> None:
    values, codes = visit(labelled).get("/api/directions").json(), open_run(labelled).codes
    assert values["k"] == 4
    axes = decode(values["components"], shape=(4, 4))
    np.testing.assert_allclose(axes @ axes.T, np.eye(4), atol=1e-5)
    scores = (codes.numpy() - decode(values["mean"])) @ axes.T
    np.testing.assert_allclose(decode(values["scales"]), scores.std(0, ddof=1), rtol=1e-4)
    assert sum(values["explained"]) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [1, 33, 256])
def test_decode(visit: Visit, labelled: Path, count: int) -> None:
    codes = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    run = open_run(labelled)
    response = visit(labelled).post("/api/decode", content=raw(codes))
    assert response.headers["x-shape"] == f"{count},{SIDE},{SIDE},1"
    assert response.headers["content-type"] == "application/octet-stream"
    actual = np.frombuffer(response.content, np.uint8).reshape(count, SIDE, SIDE, 1)
    expected = to_uint8(decode_codes(run.decoder, project(codes, "ball"), run.settings.precision))
    assert np.abs(actual.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("body", "part"),
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
def test_bad_codes(visit: Visit, labelled: Path, body: bytes, part: str) -> None:
    for address in ("/api/decode", "/api/neighbours"):
        check_refusal(visit(labelled).post(address, content=body), 400, part)


def test_sample(visit: Visit, labelled: Path) -> None:
    client, run = visit(labelled), open_run(labelled)
    request = {"prior": run.prior_name, "seed": 3, "temperature": 0.7, "label": None, "n": 5}
    codes = decode(client.post("/api/sample", json=request).json()["codes"], shape=(5, 4))
    np.testing.assert_array_equal(codes, run.prior().sample(5, seed=3, temperature=0.7).numpy())
    later = client.post("/api/sample", json=request | {"start": 2, "n": 1}).json()
    np.testing.assert_array_equal(decode(later["codes"]), codes[2])


def test_sample_of_a_label(visit: Visit, labelled: Path) -> None:
    request = {"prior": "gaussian", "seed": 0, "temperature": 1, "n": 3}
    first, second = (
        visit(labelled).post("/api/sample", json=request | {"label": label}).json()["codes"]
        for label in (0, 1)
    )
    assert decode(first).shape == (12,)
    assert first != second


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("prior", value) for value in ("no", "labels", "../checkpoint/final/decoder", None)),
        *(("label", value) for value in (2, -1, "ring")),
        *(("n", value) for value in (0, 101, True)),
        *(("seed", value) for value in (-1, 1.5)),
        ("start", -1),
        *(("temperature", value) for value in (0, float("nan"), "1")),
    ],
)
def test_bad_samples(visit: Visit, labelled: Path, name: str, value: object) -> None:
    request = {"prior": "gaussian", "seed": 0, "temperature": 1, "label": None, "n": 1}
    response = visit(labelled).post("/api/sample", content=json.dumps({**request, name: value}))
    check_refusal(response, 400, f"{name} is {value!r}"[:40])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"7", b"\xff", b"[" * 100_000])
def test_bodies_without_an_object(visit: Visit, labelled: Path, body: bytes) -> None:
    for address in ("sample", "walk", "restore"):
        check_refusal(visit(labelled).post(f"/api/{address}", content=body), 400, "JSON")


def test_example_and_its_image(visit: Visit, labelled: Path) -> None:
    values, run = visit(labelled).get("/api/example/7").json(), open_run(labelled)
    assert (values["row"], values["label"], values["has_image"]) == (7, 1, True)
    assert run.errors is not None
    assert values["error"] == pytest.approx(float(run.errors[7]))
    np.testing.assert_array_equal(decode(values["code"]), run.codes[7])
    rows, _ = neighbours(run.codes, run.codes[7], 9)
    assert [near["row"] for near in values["neighbours"]] == rows[1:].tolist()
    response = visit(labelled).get("/api/example/7/image")
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images(N)[7])


@pytest.mark.parametrize("text", ["person5.png", "4", "id:person5.png", "row:4"])
def test_find_an_example(visit: Visit, named: Path, text: str) -> None:
    values = visit(named).get("/api/find", params={"text": text}).json()
    assert (values["row"], values["id"], values["label"]) == (4, "person5.png", None)
    np.testing.assert_array_equal(decode(values["code"]), open_run(named).codes[4])
    response = visit(named).get("/api/example/4/image")
    with Image.open(io.BytesIO(response.content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images(8)[5])


@pytest.mark.parametrize("text", ["", "person3.png", "7", "0-1", "x" * 999])
def test_no_such_identity(visit: Visit, named: Path, text: str) -> None:
    check_refusal(visit(named).get("/api/find", params={"text": text}), 404)


def test_identities(visit: Visit, named: Path) -> None:
    client, names = visit(named), open_run(named).row_ids.names
    values = client.get("/api/map/pca").json()
    assert values["ids"] == [names[row] for row in decode(values["rows"], "<i4")]
    for each in client.get("/api/worst").json()["rows"]:
        assert each["id"] == names[each["row"]]
    for each in client.get("/api/example/0").json()["neighbours"]:
        assert each["id"] == names[each["row"]]


@pytest.mark.parametrize("row", ["40", "-1", "1.5", "x", "9" * 30, "٣"])
def test_no_such_example(visit: Visit, labelled: Path, row: str) -> None:
    for suffix in ("", "/image"):
        check_refusal(visit(labelled).get(f"/api/example/{row}{suffix}"), 404, "0 to 39")


def test_worst(visit: Visit, labelled: Path) -> None:
    values, run = visit(labelled).get("/api/worst?n=5").json(), open_run(labelled)
    assert run.errors is not None
    largest = run.errors.topk(5)
    scores = fit_anomaly_model(run).score(run.codes, run.errors).anomaly
    assert values["rows"] == [
        {
            "row": row,
            "id": None,
            "error": pytest.approx(error),
            "percentile": pytest.approx(100 - 2.5 * i),
            "anomaly": pytest.approx(scores[row]),
            "label": row % 2,
        }
        for i, (row, error) in enumerate(
            zip(largest.indices.tolist(), largest.values.tolist(), strict=True)
        )
    ]
    assert values["source"] == "saved"
    codes = run.codes[largest.indices].numpy()
    np.testing.assert_array_equal(decode(values["codes"], shape=(5, 4)), codes)
    assert len(visit(labelled).get("/api/worst").json()["rows"]) == N
    unusual = visit(labelled).get("/api/worst?n=5&by=anomaly").json()["rows"]
    assert [each["row"] for each in unusual] == np.argsort(-scores)[:5].tolist()
    check_refusal(visit(labelled).get("/api/worst?by=row"), 400, "by is 'row'")
    check_refusal(visit(labelled).get("/api/worst?n=0"), 400, "n is '0'")


def test_neighbours(visit: Visit, labelled: Path) -> None:
    run = open_run(labelled)
    values = visit(labelled).post("/api/neighbours", content=raw(run.codes[3])).json()
    rows, distances = neighbours(run.codes, run.codes[3], 8)
    assert values["neighbours"] == [
        {"row": row, "id": None, "distance": pytest.approx(distance), "label": row % 2}
        for row, distance in zip(rows.tolist(), distances.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(decode(values["codes"], shape=(8, 4)), run.codes[rows].numpy())


@pytest.mark.parametrize("form", ["codes", "rows", "rows.csv", "rows.txt"])
@pytest.mark.parametrize(
    ("body", "part"),
    [(b"", "0 bytes"), (b"xyz", "3 bytes"), (b"\0" * 4 * (N + 1), "164 bytes")]
    + [(np.array([0, row], "<i4").tobytes(), f"row is {row}") for row in (-1, N)],
)
def test_bad_rows(visit: Visit, labelled: Path, form: str, body: bytes, part: str) -> None:
    check_refusal(visit(labelled).post(f"/api/{form}", content=body), 400, part)


@pytest.mark.parametrize("path", ["straight", "sphere"])
def test_walk(visit: Visit, labelled: Path, path: Any) -> None:
    codes = open_run(labelled).codes
    request = {"from": encode(codes[0]), "to": encode(codes[1]), "steps": 6, "path": path}
    values = visit(labelled).post("/api/walk", json=request).json()
    expected = interpolate(codes[0], codes[1], 6, path=path, constraint="ball").numpy()
    assert values["n"] == 6
    np.testing.assert_array_equal(decode(values["codes"], shape=(6, 4)), expected)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"steps": 61}, "steps is 61"),
        ({"steps": 1}, "steps is 1"),
        ({"path": "round"}, "path is 'round'"),
        ({"path": ["straight"]}, "path is"),
        ({"from": "?"}, "from is not base64"),
        ({"from": None}, "from is not base64"),
        ({"to": encode([0, 0])}, "8 bytes"),
        ({"to": encode([0, 0, np.nan, 0])}, "NaN"),
    ],
)
def test_bad_walks(visit: Visit, labelled: Path, change: dict[str, object], part: str) -> None:
    request = {"from": encode([0] * 4), "to": encode([1] * 4), "steps": 6, "path": "straight"}
    check_refusal(visit(labelled).post("/api/walk", json=request | change), 400, part)
