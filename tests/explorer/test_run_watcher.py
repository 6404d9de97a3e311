"""Runs without labels, data, further examples, images, an end or a checkpoint."""

import shutil
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.builders import at_epoch, finish, stop
from tests.explorer.client import COOKIE, N, Visit, check_refusal, client_of, decode, raw

from glo.data import open_source
from glo.explorer import run_watcher
from glo.runs.run import open_run


def test_run_without_labels_data_and_errors(visit: Visit, bare: Path) -> None:
    client = visit(bare)
    values = client.get("/api/run").json()
    assert (values["labels"], values["data"], values["typical_residual"]) == ([], False, None)
    assert client.get("/api/map/pca").json()["labels"] is None
    example = client.get("/api/example/0").json()
    assert (example["label"], example["error"], example["has_image"]) == (None, None, False)
    for address in ("/api/example/0/image", "/api/worst"):
        check_refusal(client.get(address), 404, "not available")
    check_refusal(client.post("/api/sample", json={"prior": "gaussian", "label": 0}), 400)
    nearest = client.post("/api/neighbours", content=raw([0] * 4)).json()["neighbours"]
    assert all(example["label"] is None for example in nearest)


def test_missing_errors_are_computed(labelled: Path, tmp_path: Path) -> None:
    errors = open_run(labelled).errors
    assert errors is not None
    shutil.copytree(labelled, tmp_path / "run")
    (tmp_path / "run" / "errors.safetensors").unlink()
    with client_of(tmp_path / "run", headers=COOKIE) as client:
        assert client.get("/api/run").json()["typical_residual"] is None
        values = client.get("/api/worst?n=6").json()
        assert (values["source"], values["of"]) == ("computed", N)
        largest = errors.topk(6)
        assert [row["row"] for row in values["rows"]] == largest.indices.tolist()
        computed = [row["error"] for row in values["rows"]]
        assert computed == pytest.approx(largest.values.tolist(), rel=1e-3)
        assert client.get("/api/run").json()["typical_residual"] > 0


def test_run_of_one_example(visit: Visit, single: Path) -> None:
    client = visit(single)
    values = client.get("/api/run").json()
    assert (values["n"], values["can_sample"], values["tasks"]) == (1, False, [])
    assert values["map_methods"] == ["pca"]
    assert decode(client.get("/api/map/pca").json()["xy"]).tolist() == [0.0, 0.0]
    directions = client.get("/api/directions").json()
    assert (directions["k"], directions["components"]) == (0, "")
    assert decode(directions["mean"]).shape == (4,)
    assert client.get("/api/example/0").json()["neighbours"] == []
    assert client.post("/api/decode", content=raw([0] * 4)).status_code == 200
    for address in ("sample", "restore", "encode"):
        check_refusal(client.post(f"/api/{address}", json={}), 400)


def test_run_of_vectors(visit: Visit, table: Path) -> None:
    client, run = visit(table), open_run(table)
    values = client.get("/api/run").json()
    assert (values["kind"], values["shape"], values["tasks"]) == ("vector", [5], [])
    assert values["psnr"] is None
    response = client.post("/api/decode", content=raw(run.codes[:3]))
    assert response.headers["x-shape"] == "3,5"
    # In the units of the data, whose mean is 3, not standardized.
    expected = run.reconstruct(torch.arange(3)).numpy()
    actual = np.frombuffer(response.content, "<f4").reshape(3, 5)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert actual.mean() > 1
    assert client.get("/api/example/0").json()["has_image"] is False
    check_refusal(client.get("/api/example/0/image"), 404, "vectors")
    for address in ("encode", "restore"):
        check_refusal(client.post(f"/api/{address}", json={}), 400, "vectors")


def test_run_in_training(visit: Visit, stopped: Path) -> None:
    client = visit(stopped)
    values = client.get("/api/run").json()
    assert (values["state"], values["can_sample"], values["priors"]) == ("training", False, [])
    assert (values["mse"], values["data"]) == (None, True)
    assert client.get("/api/map/pca").status_code == 200
    assert client.post("/api/decode", content=raw([0] * 4)).status_code == 200
    check_refusal(client.post("/api/sample", json={"prior": "gaussian"}), 400)
    check_refusal(client.post("/api/encode", content=b"x"), 400, "not finished")
    progress = client.get("/api/progress").json()
    assert progress["state"] == "training"
    assert progress["records"]
    assert [picture["epoch"] for picture in progress["pictures"]] == [1]


def test_run_without_a_checkpoint(stopped: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stopped, tmp_path / "run")
    shutil.rmtree(folder / "checkpoint")
    with client_of(folder, headers=COOKIE) as client:
        values = client.get("/api/run").json()
        assert (values["state"], values["map_methods"]) == ("empty", [])
        assert client.get("/api/progress").json()["state"] == "empty"
        check_refusal(client.get("/api/map/pca"), 404, "no codes yet")
        check_refusal(client.post("/api/decode", content=b""), 404, "no codes yet")


def test_newest_checkpoint_is_served(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten seconds between any two requests.
    monkeypatch.setattr(run_watcher, "time", SimpleNamespace(monotonic=count(step=10).__next__))
    dataset = open_source(str(labelled.parent / "labelled.npz"))
    folder = tmp_path / "run"
    # Stopped after the first epoch, as by a signal.
    stop(folder, at_epoch(1), dataset)
    with client_of(folder, headers=COOKIE) as client:
        assert client.get("/api/run").json()["state"] == "training"
        rows = np.arange(3, dtype="<i4").tobytes()
        before = client.post("/api/codes", content=rows).content
        total = client.get("/api/progress").json()["next"]
        finish(folder, dataset)
        values = client.get("/api/run").json()
        assert (values["state"], values["can_sample"]) == ("finished", True)
        assert values["labels"] == ["dot", "ring"]
        assert client.post("/api/codes", content=rows).content != before
        progress = client.get(f"/api/progress?after={total}").json()
        assert progress["next"] == total + len(progress["records"]) > total
        assert progress["seconds_left"] is None
