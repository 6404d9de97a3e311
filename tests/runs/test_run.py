"""Run folders describe themselves: they open and sample without the data."""

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.builders import at_step, finish, samples, settings, stop

from glo.errors import UserError
from glo.runs.run import DataRecord, Run, open_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "made"
    finish(out)
    return out


def test_it_opens_and_samples_without_the_data(tmp_path: Path, made: Path) -> None:
    data, moved = tmp_path / "data", tmp_path / "moved"
    samples().save(data)
    from glo.data import Dataset

    finish(tmp_path / "run", Dataset.open(data))
    shutil.rmtree(data)
    (tmp_path / "run").rename(moved)
    opened = open_run(moved)
    assert opened.sample(3, seed=1).shape == (3, 1, 8, 8)
    assert torch.equal(opened.sample(3, seed=1), open_run(made).sample(3, seed=1))
    assert opened.reconstruct(torch.tensor([0, 7])).shape == (2, 1, 8, 8)
    assert opened.codes.shape == (20, 4)


def test_it_knows_its_settings_and_data(made: Path) -> None:
    opened = open_run(made)
    assert opened.settings == settings()
    assert opened.preset == "mnist"
    assert opened.data == DataRecord(
        source="noise", name="noise", n=20, shape=(1, 8, 8), fingerprint=samples().fingerprint
    )
    assert opened.checkpoint.finished
    assert opened.summary is not None


@pytest.mark.parametrize("n", [1, 2, 7, 64, 255, 256, 257])
def test_sample_j_of_a_seed_is_the_same_whatever_n(made: Path, n: int) -> None:
    opened = open_run(made)
    many = opened.sample(300, seed=5)
    assert torch.equal(opened.sample(n, seed=5), many[:n])
    assert torch.equal(opened.sample(20, seed=5, start=n), opened.sample(n + 20, seed=5)[n:])
    assert not torch.equal(opened.sample(n, seed=6), many[:n])


def test_images_lie_in_range_and_codes_on_the_constraint(made: Path) -> None:
    opened = open_run(made)
    pictures = opened.sample(100, seed=1, temperature=50.0)
    assert pictures.dtype == torch.float32
    assert pictures.abs().max() <= 1
    assert opened.prior().sample(100, temperature=50.0).norm(dim=1).max() <= 1 + 1e-6


@pytest.mark.parametrize(
    "name", ["runs/x", "emoji 😀", "delete \x7f", 'quote " and \\', "new\nline", "\x00\x1f"]
)
def test_config_keeps_any_name(tmp_path: Path, name: str) -> None:
    facts = DataRecord(source=name, name=name, n=3, shape=(5,), fingerprint="0" * 16)
    Run(tmp_path, settings=settings(loss="mse"), data=facts, preset="paper").write_config()
    opened = open_run(tmp_path)
    assert (opened.data, opened.preset, opened.settings) == (facts, "paper", settings())


def test_config_replaces_what_is_no_text(tmp_path: Path) -> None:
    facts = DataRecord(source="caf\udce9", name="x", n=3, shape=(5,), fingerprint="0" * 16)
    Run(tmp_path, settings=settings(), data=facts, preset="paper").write_config()
    assert open_run(tmp_path).data.source == "caf?"


def test_config_says_what_it_is(made: Path) -> None:
    text = (made / "config.toml").read_text("utf-8")
    assert text.startswith("# Made by glo train; pass it to --config")
    assert tomllib.loads(text)["run"] == {"format": 1, "preset": "mnist"}


BAD = {
    "newer": (("format = 1", "format = 2"), "format 2"),
    "no format": (("format = 1", "format = true"), "format True"),
    "no run": (("[run]", "[rum]"), "('run')"),
    "no data": (("fingerprint =", "finger ="), "finger"),
    "a typo": (("code_dim =", "code_dmi ="), "Did you mean 'code_dim'?"),
    "a kind": (("code_dim = 4", "code_dim = true"), "code_dim"),
    "no TOML": (("code_dim = 4", "code_dim = "), "is not a TOML file"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_edited_config_is_a_mistake_in_one_sentence(
    tmp_path: Path, made: Path, name: str
) -> None:
    (old, new), part = BAD[name]
    text = (made / "config.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "config.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(UserError) as caught:
        open_run(tmp_path)
    assert part in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_what_is_not_a_run(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.zeros(3))
    for path in (tmp_path, tmp_path / "data.npy"):
        with pytest.raises(UserError, match="is not a run folder: it has no config"):
            open_run(path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for name, near in (("mnsit", f" Did you mean '{tmp_path / 'mnist'}'?"), ("zzz", "")):
        with pytest.raises(UserError) as caught:
            open_run(tmp_path / name)
        assert str(caught.value) == (
            f"{tmp_path / name} is not a run folder: it does not exist; give the folder that glo "
            f"train named.{near}"
        )


def test_a_run_without_a_checkpoint(tmp_path: Path) -> None:
    stop(tmp_path / "run", lambda hook, value: hook == "on_train_begin", save=False)
    opened = open_run(tmp_path / "run")
    assert opened.summary is None
    with pytest.raises(UserError, match="has no checkpoint yet; run the command that began it"):
        opened.sample(1)


@pytest.mark.parametrize("content", [b"", b"{", b'{"mse": 0.1', b"\xff\xfe"])
def test_a_damaged_summary_is_none(tmp_path: Path, made: Path, content: bytes) -> None:
    run = shutil.copytree(made, tmp_path / "run")
    (run / "summary.json").write_bytes(content)
    assert open_run(run).summary is None


def test_a_run_is_described_in_a_line(tmp_path: Path, made: Path) -> None:
    run = open_run(made)
    assert run.summary is not None
    assert repr(run) == (
        f"Run({str(made)!r}, n=20, shape=(1, 8, 8), code_dim=4, mse={run.summary['mse']:.4g})"
    )
    stop(tmp_path / "run", at_step(5))
    assert repr(open_run(tmp_path / "run")).endswith(", unfinished)")


def test_the_nearest_codes_begin_with_the_code_itself(made: Path) -> None:
    run = open_run(made)
    rows, distances = run.nearest(run.codes[[7, 3]], k=4)
    assert rows.shape == distances.shape == (2, 4)
    assert rows[:, 0].tolist() == [7, 3]
    assert distances[:, 0].tolist() == [0, 0]
    assert run.nearest(run.codes[:1], k=99)[0].shape == (1, 20)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (0, 4)])
def test_codes_of_another_shape_are_refused(made: Path, shape: tuple[int, ...]) -> None:
    for method in (open_run(made).decode, open_run(made).nearest):
        with pytest.raises(UserError, match="4 numbers"):
            method(torch.zeros(shape))
