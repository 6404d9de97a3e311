"""Records of training, the remaining time, and the pictures of a run."""

import os
import shutil
import time
from pathlib import Path

import pytest
from tests.explorer.client import COOKIE, Visit, client_of


def test_records_are_sent_once(visit: Visit, labelled: Path) -> None:
    client = visit(labelled)
    first = client.get("/api/progress").json()
    assert first["next"] == len(first["records"])
    assert {record["kind"] for record in first["records"]} <= {"step", "epoch"}
    second = client.get(f"/api/progress?after={first['next']}").json()
    assert (second["records"], second["restarted"]) == ([], False)
    # More than there are: the run continued from a checkpoint.
    third = client.get("/api/progress?after=99999").json()
    assert third["restarted"]
    assert third["records"] == first["records"]
    assert client.get("/api/progress?after=-1").status_code == 400


def test_time_left(stopped: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stopped, tmp_path / "run")
    record = '{"kind": "epoch", "epoch": %d, "step": %d, "elapsed": %d}\n'
    text = "".join(record % (step, step, 10 * step) for step in (1, 2, 4))
    (folder / "metrics.jsonl").write_text(f'{text}not json\n[7]\n{{"kind": "st')
    with client_of(folder, headers=COOKIE) as client:
        values = client.get("/api/progress").json()
        assert values["next"] == 3
        # Eight of twelve steps, ten seconds each.
        assert values["seconds_left"] == pytest.approx(80.0)
        old = time.time() - 3600
        os.utime(folder / "metrics.jsonl", (old, old))
        assert client.get("/api/progress").json()["seconds_left"] is None


def test_pictures(visit: Visit, labelled: Path) -> None:
    client, samples = visit(labelled), labelled / "samples"
    (samples / "link.png").symlink_to(labelled / "config.toml")
    try:
        pictures = client.get("/api/progress").json()["pictures"]
        epochs = {picture["name"]: picture["epoch"] for picture in pictures}
        assert "link.png" not in epochs
        assert client.get("/api/picture/link.png").status_code == 404
    finally:
        (samples / "link.png").unlink()
    assert (epochs["epoch-0001.png"], epochs["worst.png"]) == (1, None)
    for name in epochs:
        assert client.get(f"/api/picture/{name}").content == (samples / name).read_bytes()
