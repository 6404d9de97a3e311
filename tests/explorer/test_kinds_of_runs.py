"""Runs that lack something: labels, data, other examples, images, an end, a beginning."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from tests.builders import SIDE, finish, images, settings
from tests.explorer.asking import TOKEN, N, Visit, browser, floats, lines, packed, raw, sentence

from glo.data import open_source
from glo.errors import UserError
from glo.explorer import make_app, run_watcher
from glo.runs.run import open_run
from glo.training.statistics import EpochRecord
from glo.workflows.train import TrainingRun


def test_without_labels_and_data(visit: Visit, bare: Path) -> None:
    client = visit(bare)
    facts = client.get("/api/run").json()
    assert facts["labels"] == []
    assert not facts["data"]
    assert facts["typical_residual"] is None
    assert client.get("/api/map/pca").json()["labels"] is None
    example = client.get("/api/example/0").json()
    assert (example["label"], example["error"], example["has_image"]) == (None, None, False)
    for address in ("/api/example/0/image", "/api/worst"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "not available" in sentence(answer)
    wish = {"prior": "gaussian", "label": 0}
    assert client.post("/api/sample", json=wish).status_code == 400
    found = client.post("/api/neighbours", content=raw([0] * 4)).json()["neighbours"]
    assert all(near["label"] is None for near in found)


def test_errors_that_were_not_kept_are_computed(labelled: Path, tmp_path: Path) -> None:
    run = open_run(labelled)
    shutil.copytree(labelled, tmp_path / "run")
    (tmp_path / "run" / "errors.safetensors").unlink()
    with browser(tmp_path / "run") as client:
        client.get("/", params={"token": TOKEN})
        assert client.get("/api/run").json()["typical_residual"] is None
        found = client.get("/api/worst?n=6").json()
        assert (found["source"], found["of"]) == ("computed", N)
        assert run.errors is not None
        wanted = run.errors.topk(6)
        assert [each["row"] for each in found["rows"]] == wanted.indices.tolist()
        assert [each["error"] for each in found["rows"]] == pytest.approx(
            wanted.values.tolist(), rel=1e-3
        )
        assert client.get("/api/run").json()["typical_residual"] > 0


def test_one_example(visit: Visit, single: Path) -> None:
    client = visit(single)
    facts = client.get("/api/run").json()
    assert (facts["n"], facts["can_sample"], facts["tasks"]) == (1, False, [])
    assert facts["map_methods"] == ["pca"]
    assert floats(client.get("/api/map/pca").json()["xy"]).tolist() == [0.0, 0.0]
    directions = client.get("/api/directions").json()
    assert (directions["k"], directions["components"]) == (0, "")
    assert floats(directions["mean"]).shape == (4,)
    assert client.get("/api/example/0").json()["neighbours"] == []
    assert client.post("/api/decode", content=raw([0] * 4)).status_code == 200
    for address in ("sample", "restore", "encode"):
        answer = client.post(f"/api/{address}", json={})
        assert answer.status_code == 400
        sentence(answer)


def test_vectors(visit: Visit, table: Path) -> None:
    client, run = visit(table), open_run(table)
    facts = client.get("/api/run").json()
    assert (facts["kind"], facts["shape"], facts["tasks"]) == ("vector", [5], [])
    assert facts["psnr"] is None
    answer = client.post("/api/decode", content=run.codes[:3].numpy().tobytes())
    assert answer.headers["x-shape"] == "3,5"
    decoded = np.frombuffer(answer.content, "<f4").reshape(3, 5)
    # In the units of the data, whose mean is 3, not in standard deviations.
    wanted = run.reconstruct(torch.arange(3)).numpy()
    np.testing.assert_allclose(decoded, wanted, rtol=1e-4, atol=1e-4)
    assert decoded.mean() > 1
    assert client.get("/api/example/0").json()["has_image"] is False
    assert "vectors" in sentence(client.get("/api/example/0/image"))
    for address in ("encode", "restore"):
        answer = client.post(f"/api/{address}", json={})
        assert answer.status_code == 400
        assert "vectors" in sentence(answer)


def test_in_training(visit: Visit, stopped: Path) -> None:
    client = visit(stopped)
    facts = client.get("/api/run").json()
    assert (facts["state"], facts["can_sample"], facts["priors"]) == ("training", False, [])
    assert facts["mse"] is None
    assert facts["data"]
    assert client.get("/api/map/pca").status_code == 200
    assert client.post("/api/decode", content=raw([0] * 4)).status_code == 200
    assert client.post("/api/sample", json={"prior": "gaussian"}).status_code == 400
    picture = {"content": b"x"}
    assert "not finished" in sentence(client.post("/api/encode", **picture))
    progress = client.get("/api/progress").json()
    assert progress["state"] == "training"
    assert progress["records"]
    assert [each["epoch"] for each in progress["pictures"]] == [1]


def test_without_checkpoint(stopped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    shutil.rmtree(folder / "checkpoint")
    with browser(folder) as client:
        client.get("/", params={"token": TOKEN})
        facts = client.get("/api/run").json()
        assert (facts["state"], facts["map_methods"]) == ("empty", [])
        assert client.get("/api/progress").json()["state"] == "empty"
        for answer in (client.get("/api/map/pca"), client.post("/api/decode", content=b"")):
            assert answer.status_code == 404
            assert "no codes yet" in sentence(answer)


def test_newest_checkpoint_is_shown(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watcher, "time", SimpleNamespace(monotonic=count(step=10).__next__))
    samples = open_source(str(labelled.parent / "labelled.npz"))
    folder = tmp_path / "run"
    sitting = TrainingRun(folder, samples, settings(), source="gone", preset="mnist")
    # Stopped after its first epoch, as by a signal.
    for event in sitting.events():
        if isinstance(event, EpochRecord):
            break
    sitting.save()
    sitting.close()
    with browser(folder) as client:
        client.get("/", params={"token": TOKEN})
        assert client.get("/api/run").json()["state"] == "training"
        before = client.get("/api/map/pca").json()["codes"]
        seen = client.get("/api/progress").json()["next"]
        finish(folder, samples)
        facts = client.get("/api/run").json()
        assert (facts["state"], facts["can_sample"]) == ("finished", True)
        assert facts["labels"] == ["dot", "ring"]
        assert client.get("/api/map/pca").json()["codes"] != before
        news = client.get(f"/api/progress?after={seen}").json()
        assert news["next"] == seen + len(news["records"]) > seen
        assert news["seconds_left"] is None


def test_records_come_once(visit: Visit, labelled: Path) -> None:
    client = visit(labelled)
    everything = client.get("/api/progress").json()
    assert everything["next"] == len(everything["records"])
    assert {record["kind"] for record in everything["records"]} <= {"step", "epoch"}
    none = client.get(f"/api/progress?after={everything['next']}").json()
    assert (none["records"], none["restarted"]) == ([], False)
    again = client.get("/api/progress?after=99999").json()
    assert again["restarted"]
    assert again["records"] == everything["records"]
    assert client.get("/api/progress?after=-1").status_code == 400


def test_time_left(visit: Visit, stopped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    record = '{"kind": "epoch", "epoch": %d, "step": %d, "elapsed": %d}\n'
    text = "".join(record % (step, step, 10 * step) for step in (1, 2, 4))
    (folder / "metrics.jsonl").write_text(text + "not json\n[7]\n" + '{"kind": "st')
    with browser(folder) as client:
        client.get("/", params={"token": TOKEN})
        answer = client.get("/api/progress").json()
        # 12 steps in all, ten seconds each.
        assert answer["seconds_left"] == pytest.approx(80.0)
        assert answer["next"] == 3
        old = time.time() - 3600
        os.utime(folder / "metrics.jsonl", (old, old))
        assert client.get("/api/progress").json()["seconds_left"] is None


def test_warmed_page_serves_the_same(labelled: Path) -> None:
    app = make_app(labelled, token=TOKEN, port=80, warm=True)
    with TestClient(
        app, base_url="http://127.0.0.1:80", headers={"host": "127.0.0.1:80"}
    ) as client:
        client.get("/", params={"token": TOKEN})
        assert client.post("/api/decode", content=raw([0] * 4)).status_code == 200


def test_two_tabs_at_once(visit: Visit, labelled: Path) -> None:
    client = visit(labelled)
    mask = np.tile(np.arange(SIDE) > 2, (SIDE, 1))
    hole = {"pixels": packed(images(1), "u1"), "mask": packed(mask, "u1"), "n": 2}
    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(client.post, "/api/restore", json=hole) for _ in range(2)]
        decodes = [pool.submit(client.post, "/api/decode", content=raw([0] * 4)) for _ in range(20)]
        assert len({decode.result().content for decode in decodes}) == 1
        found = {lines(search.result())[-1]["codes"] for search in searches}
    assert len(found) == 1


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run folder"):
        make_app(tmp_path, token=TOKEN, port=1)


def test_packed_is_what_the_server_reads() -> None:
    assert packed([1.0]) == "AACAPw=="
