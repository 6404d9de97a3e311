"""`glo train`: stopping and going on, other people's folders, and what is said of bad input."""

import ctypes
import errno
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.builders import (
    PER_EPOCH,
    STEPS,
    TINY,
    When,
    assert_same,
    at_epoch,
    at_step,
    flip,
    images,
    save_data,
    start_glo,
    summary,
    tensors,
    train,
    train_until,
)
from tests.cli.conftest import Refuse

from glo.cli.app import run
from glo.runs.metrics_log import MetricsLog, read_metrics_log

VARIANTS: dict[str, list[str]] = {
    "default": [],
    "average": ["--ema-decay", "0.9", "--code-betas", "0.5", "0.9"],
    "sgd": [
        *("--decoder-optimizer", "sgd", "--code-optimizer", "sgd", "--init", "gaussian"),
        *("--project-every", "epoch", "--code-lr", "5", "--drop-last", "--refine-passes", "1"),
    ],
}
# The loop and the run are tested with a stop at every step and event.
STOPS: dict[str, When] = {
    "mid epoch": at_step(PER_EPOCH + 1),
    "end of an epoch": at_epoch(2),
    "refinement": lambda hook, value: hook == "on_refine",
}
RESUMES = [
    pytest.param(stop, variant, marks=() if variant == "default" else pytest.mark.slow)
    for stop in STOPS
    for variant in VARIANTS
]


@pytest.fixture(autouse=True)
def home(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder of a test, whose runs record every second step."""
    monkeypatch.setattr("glo.workflows.train.MetricsLog", partial(MetricsLog, every=2))
    return workdir


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Runs that were never stopped, by variant."""
    root, made = tmp_path_factory.mktemp("whole"), set[str]()

    def get(name: str) -> Path:
        if name not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("glo.workflows.train.MetricsLog", partial(MetricsLog, every=2))
                assert train(data, root / name, *VARIANTS[name]) == 0
            made.add(name)
        return root / name

    return get


def records(out: Path) -> list[tuple[str, int]]:
    return [(record["kind"], record["step"]) for record in read_metrics_log(out / "metrics.jsonl")]


def numbers(out: Path) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in record.items() if k not in ("seconds", "elapsed")}
        for record in read_metrics_log(out / "metrics.jsonl")
    ]


@pytest.mark.parametrize(("stop", "variant"), RESUMES)
def test_stopped_and_gone_on_is_as_if_never_stopped(
    home: Path,
    whole: Callable[[str], Path],
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: str,
    variant: str,
) -> None:
    out, words = home / "run", VARIANTS[variant]
    assert train_until(monkeypatch, STOPS[stop], data, out, *words) == 130
    assert f"Stopped and saved in {out}. To resume: glo train {data}" in capsys.readouterr().out
    assert not (out / "summary.json").exists()
    assert train(data, out, *words) == 0
    assert_same(tensors(out), tensors(whole(variant)))
    assert numbers(out) == numbers(whole(variant))
    times = {"seconds", "prior_seconds", "images_per_second", "peak_memory_mb"}
    ours, theirs = summary(out), summary(whole(variant))
    assert {k: v for k, v in ours.items() if k not in times} == {
        k: v for k, v in theirs.items() if k not in times
    }


def test_journal_has_every_epoch_and_every_second_step(whole: Callable[[str], Path]) -> None:
    steps = [("step", n) for n in range(2, STEPS + 1, 2)]
    epochs = [("epoch", n) for n in range(PER_EPOCH, STEPS + 1, PER_EPOCH)]
    assert sorted(records(whole("default"))) == sorted(steps + epochs)


def test_a_lost_summary_is_written_again(
    home: Path, whole: Callable[[str], Path], data: str
) -> None:
    out = shutil.copytree(whole("default"), home / "run")
    (out / "summary.json").write_text("{")
    assert train(data, out) == 0
    assert summary(out)["mse"] == summary(whole("default"))["mse"]
    assert_same(tensors(out), tensors(whole("default")))


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since(
    home: Path,
    whole: Callable[[str], Path],
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = home / "run"
    for step in (2, 5):
        assert train_until(monkeypatch, at_step(step), data, out) == 130
    flip(out / "checkpoint" / "step-000000000005" / "optimizer.safetensors")
    capsys.readouterr()
    assert train(data, out) == 0
    assert "is damaged: optimizer.safetensors was cut or edited" in capsys.readouterr().out
    assert_same(tensors(out), tensors(whole("default")))
    assert records(out) == records(whole("default"))


def started(out: Path, words: list[str], ready: Callable[[], bool]) -> Any:
    process = start_glo(["train", *words, "--out", str(out)])
    end = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    return process


def saved(out: Path) -> list[Path]:
    return list((out / "checkpoint").glob("step-*"))


def test_a_killed_process_goes_on(home: Path, data: str) -> None:
    words = [data, *TINY[:-1], "30"]
    out = home / "run"
    process = started(out, [*words, "--checkpoint-seconds", "0"], lambda: len(saved(out)) == 2)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "summary.json").exists()
    assert run(["train", *words, "--out", str(out)]) == 0
    assert run(["train", *words, "--out", "whole"]) == 0
    assert_same(tensors(out), tensors(Path("whole")))
    steps = [("step", n) for n in range(2, 91, 2)] + [("epoch", n) for n in range(3, 91, 3)]
    kept = [pair for pair in records(out) if pair[1] % 2 == 0 or pair[0] == "epoch"]
    # The killed process logged every 50th step only; from where it was taken up, every second.
    assert set(kept) <= set(steps)
    assert len(kept) == len(set(kept))
    assert [n for kind, n in kept if kind == "epoch"] == list(range(3, 91, 3))


def test_ctrl_c_saves_says_how_to_go_on_and_exits_130(home: Path, data: str) -> None:
    words = [data, *TINY[:-1], "60"]
    out = home / "run"
    process = started(out, words, lambda: (out / "metrics.jsonl").is_file())
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert f"Stopped and saved in {out}. To resume: glo train {data}" in output
    assert "Traceback" not in errors
    assert "stopping after this step" in errors
    assert run(["train", *words, "--out", str(out)]) == 0
    assert run(["train", *words, "--out", "whole"]) == 0
    assert_same(tensors(out), tensors(Path("whole")))


def test_no_space_left(
    home: Path,
    whole: Callable[[str], Path],
    data: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = home / "run"
    assert train_until(monkeypatch, at_step(5), data, out) == 130
    capsys.readouterr()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out))

    with monkeypatch.context() as patch:
        patch.setattr("glo.utils.safetensors_io.os.fsync", full)
        assert train(data, out) == 2
    sentence = capsys.readouterr().err
    assert "no space is left on the device" in sentence
    assert "run the same command again" in sentence
    assert [p.name for p in (out / "checkpoint").iterdir()] == ["step-000000000005"]
    assert train(data, out) == 0
    assert_same(tensors(out), tensors(whole("default")))


@pytest.mark.slow
def test_a_file_that_may_not_grow(
    home: Path, whole: Callable[[str], Path], data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = home / "run"
    assert train_until(monkeypatch, at_step(5), data, out) == 130
    largest = max(path.stat().st_size for path in saved(out)[0].iterdir())

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1))

    process = start_glo(
        ["train", data, *TINY, "--checkpoint-seconds", "0", "--out", str(out)], preexec_fn=limit
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    assert "the file is larger than is allowed here" in errors
    assert "Traceback" not in errors
    assert train(data, out) == 0
    assert_same(tensors(out), tensors(whole("default")))


def as_others_are() -> None:
    # Root may write anywhere. Without this right (CAP_DAC_OVERRIDE, 1), left out of what the next
    # program can have (PR_CAPBSET_DROP, 24), it may no more than other users.
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the rights of root are taken Linux's way")
def test_no_right_to_write(home: Path, data: str) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o555)
    words = ["train", data, *TINY, "--out", str(closed / "run")]
    process = start_glo(words, env={"GLO_CACHE": str(closed)}, preexec_fn=as_others_are)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    assert "permission denied; give another folder." in errors
    assert errors.count("\n") == 1
    assert not list(closed.iterdir())


def test_folders_of_other_runs_and_things(
    home: Path, whole: Callable[[str], Path], data: str, refuse_unchanged: Refuse
) -> None:
    out = shutil.copytree(whole("default"), home / "run")
    words = ["train", data, *TINY, "--out"]
    other = save_data(home, images(seed=1), "other.npy")
    refuse_unchanged(
        ["train", other, *TINY, "--out", str(out)],
        "was trained on other data (data, 20 examples of shape (1, 8, 8))",
        "give --out another folder",
    )
    refuse_unchanged(
        [*words, str(out), "--seed", "3", "--refine-passes", "1"],
        "refine_passes was 3 and is now 1; seed was 0 and is now 3",
    )
    for name in ("thesis.txt", "config.json", "checkpoint"):
        (home / f"of-{name}").mkdir()
        (home / f"of-{name}" / name).write_text("years of work")
        refuse_unchanged([*words, f"of-{name}"], "is not empty and is not a run", "--out")
    refuse_unchanged([*words, "other.npy"], "exists and is not a folder")
    refuse_unchanged([*words, "other.npy/below"], "give another path")


def test_a_source_with_any_name(home: Path) -> None:
    folder = home / 'bilder 😀 \x7f "q" \\ ü'
    data = save_data(folder)
    assert train(data, home / "run") == 0
    assert run(["info", str(home / "run")]) == 0
    assert train(data, home / "run") == 0


def test_a_source_whose_name_is_no_text(home: Path) -> None:
    data = save_data(home / os.fsdecode(b"caf\xe9"))
    assert train(data, home / "run") == 0
    assert run(["sample", str(home / "run")]) == 0


# What `summary.json` must hold, by the design.
NUMBER = (int, float)
FIELDS: dict[str, Any] = {
    "data": dict,
    "epochs": int,
    "mse": NUMBER,
    "psnr": NUMBER,
    "baselines": dict,
    "explained_variance": NUMBER,
    "code_travel": NUMBER,
    "seconds": NUMBER,
    "images_per_second": NUMBER,
    "peak_memory_mb": NUMBER,
    "diagnosis": list,
}


def test_summary_has_every_field(whole: Callable[[str], Path]) -> None:
    values = summary(whole("default"))
    for name, kind in FIELDS.items():
        assert isinstance(values[name], kind), name
    assert values["data"] == {"name": "data", "n": 20, "shape": [1, 8, 8]}
    assert values["epochs"] == 4
    base = values["baselines"]
    assert base.keys() == {"mean_image", "pca"}
    assert 0 < base["pca"] < base["mean_image"]
    assert values["explained_variance"] == pytest.approx(1 - values["mse"] / base["mean_image"])
    assert values["psnr"] == pytest.approx(10 * np.log10(4 / values["mse"]))
    assert values["seconds"] > 0
    assert values["peak_memory_mb"] > 10
    assert all(isinstance(sentence, str) for sentence in values["diagnosis"])


def test_summary_mse_is_that_of_the_run_as_it_opens(whole: Callable[[str], Path]) -> None:
    from glo.runs.run import open_run

    opened = open_run(whole("average"))
    copies = opened.reconstruct(torch.arange(20))
    target = torch.from_numpy(images()[:, None].astype("float32") / 127.5 - 1)
    mse = float((copies - target).square().mean())
    assert summary(whole("average"))["mse"] == pytest.approx(mse, rel=1e-5)


def test_dry_run_prints_what_would_be_used_and_writes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my.toml").write_text("epochs = 9\nbatch_size = 64\n")
    words = ["train", "mnist", "--preset", "paper", "--config", "my.toml", "--batch-size", "32"]
    assert run([*words, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# preset paper"
    assert {"epochs = 9", "batch_size = 32", "code_lr = 10.0", "code_dim = 32"} <= set(lines)
    assert [p.name for p in home.iterdir()] == ["my.toml"]


@pytest.mark.parametrize("given", ["0.2", "other.npy"])
def test_held_out_examples_are_shown(
    home: Path, data: str, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    save_data(home, images(4, seed=9), "other.npy")
    words = ("--validation", str(home / given) if given.endswith("npy") else given)
    assert train(data, home / "run", *words, "--prior", "gaussian") == 0
    out = capsys.readouterr().out
    assert "held out 0." in out
    assert "4 held-out examples; the best check" in out
    assert summary(home / "run")["validation"]["n"] == 4
    assert summary(home / "run")["data"]["n"] == (16 if given == "0.2" else 20)


def test_the_config_of_a_run_makes_the_same_run(
    home: Path, whole: Callable[[str], Path], data: str
) -> None:
    config = str(whole("sgd") / "config.toml")
    assert run(["train", data, "--config", config, "--out", "run"]) == 0
    assert_same(tensors(Path("run")), tensors(whole("sgd")))


ODD: dict[str, tuple[Any, list[str]]] = {
    "one image": (images(1), []),
    "two images": (images(2), []),
    "fewer than a batch": (images(5), ["--batch-size", "128"]),
    "codes longer than the set": (images(6), ["--code-dim", "32"]),
    "colour": (np.repeat(images()[..., None], 3, 3), []),
    "channels first": (np.repeat(images()[:, None], 3, 1), []),
    "float pixels": (images() / np.float32(255), []),
    "black and white": (images() > 127, []),
    "vectors": (np.random.default_rng(0).normal(size=(20, 5)), []),
    "vectors with gaps": (np.where(np.eye(20, 5, dtype=bool), np.nan, 1.0 + np.eye(20, 5, 1)), []),
    "one vector of one number": (np.ones((1, 1)), []),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_trains_and_opens(home: Path, name: str) -> None:
    array, words = ODD[name]
    source = save_data(home, array)
    out = home / "run"
    tiny = ["--width", "4", "--epochs", "2"] + ([] if "--code-dim" in words else TINY[2:4])
    assert run(["train", source, *tiny, *words, "--out", str(out)]) == 0
    values = summary(out)
    assert np.isfinite(values["mse"])
    assert values["data"]["n"] == len(array)
    assert run(["info", str(out)]) == 0
    assert run(["sample", str(out), "--n", "2"]) == (2 if len(array) == 1 else 0)


def test_examples_that_are_all_the_same_train_and_the_diagnosis_says_so(home: Path) -> None:
    source = save_data(home, np.full((12, 8, 8), 77, np.uint8))
    assert train(source, home / "run") == 0
    values = summary(home / "run")
    assert "All examples are the same" in values["diagnosis"][0]
    assert json.dumps(values, allow_nan=False)
    assert run(["sample", "run", "--n", "3"]) == 0


BAD: dict[str, tuple[Any, list[str], str]] = {
    "one image": (images(20)[0][..., None].repeat(3, 2), [], "looks like one image"),
    "text": (np.array(["a", "b"]), [], "give real numbers"),
    "size 28": (images(), ["--size", "28"], "resize the data with --size 32"),
    "vectors by dcgan": (np.zeros((4, 5)), ["--decoder", "dcgan"], "use decoder 'mlp'"),
    "images by mlp": (images(), ["--decoder", "mlp"], "use decoder 'dcgan'"),
    "no such loss": (images(), ["--loss", "lap2"], "lap1"),
    "no such device": (images(), ["--device", "gpu"], "device 'gpu' cannot be used"),
}


@pytest.mark.parametrize("name", BAD)
def test_unusable_data_leave_nothing(home: Path, refuse_unchanged: Refuse, name: str) -> None:
    array, words, part = BAD[name]
    refuse_unchanged(["train", save_data(home, array), *TINY, *words, "--out", "run"], part)


def test_a_mistake_can_be_corrected_in_the_same_folder(home: Path) -> None:
    source = save_data(home, images(side=28))
    assert train(source, home / "run") == 2
    assert train(source, home / "run", "--size", "16") == 0


BAD_WORDS: dict[str, tuple[list[str], str]] = {
    "no such file": (["nosuch.npy"], "There is no file or folder 'nosuch.npy'"),
    "nearly a name": (["mnits"], "Did you mean 'mnist'?"),
    "empty folder": (["empty"], "is empty"),
    "not data": (["notes.txt"], "is not a file that can be used by itself"),
    "negative epochs": (["d.npy", "--epochs", "-3"], "epochs is -3"),
    "a word": (["d.npy", "--epochs", "many"], "many"),
    "no such preset": (["d.npy", "--preset", "papr"], "Did you mean 'paper'?"),
    "no such option": (["d.npy", "--epohcs", "3"], "Did you mean --epochs?"),
    "two sources": (["d.npy", "e.npy"], "'e.npy' is more than the command takes"),
    "no value": (["d.npy", "--epochs"], "--epochs requires an argument"),
    "no such config": (["d.npy", "--config", "no.toml"], "no.toml cannot be read"),
    "no such setting": (["d.npy", "--config", "typo.toml"], "Did you mean 'epochs'?"),
}


@pytest.mark.parametrize("name", BAD_WORDS)
def test_unusable_words_leave_nothing(home: Path, refuse_unchanged: Refuse, name: str) -> None:
    (home / "empty").mkdir()
    (home / "notes.txt").write_text("hello")
    save_data(home, name="d.npy")
    (home / "typo.toml").write_text("epohcs = 3\n")
    words, part = BAD_WORDS[name]
    refuse_unchanged(["train", *words, "--out", "run"], part)


def test_images_that_cannot_be_read_are_named_and_the_rest_trains(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "photos"
    folder.mkdir()
    for number, image in enumerate(images(12)):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:50])
    for name in ("7.jpg", "8.jpg"):
        (folder / name).write_text("not an image")
    (folder / "notes.txt").write_text("hello")
    assert train(str(folder), home / "run") == 0
    output = capsys.readouterr().out
    assert "Warning: 3 were left out: 2 (7.jpg, 8.jpg): " in output
    assert "3.png: " in output
    assert summary(home / "run")["data"] == {"name": "photos", "n": 11, "shape": [1, 8, 8]}


def test_colour_images_are_told_of_their_preset(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    data = save_data(home, colour, "colour.npy")
    assert train(data, home / "run") == 0
    said = capsys.readouterr().out
    assert re.search(r"for 6 colour images of \d+ x \d+ there is --preset few-shot\.", said)
    # Who has chosen is not told.
    assert train(data, home / "chosen", "--decoder", "dcgan") == 0
    assert train(save_data(home), home / "grey") == 0
    assert "--preset" not in capsys.readouterr().out
