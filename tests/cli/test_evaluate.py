"""`glo evaluate`: table, file of figures, errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.builders import images, save_data, train
from tests.cli.conftest import Refuse

from glo.cli.app import run


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of two splits, and a run trained on the first."""
    folder = tmp_path_factory.mktemp("two")
    np.savez(folder / "two.npz", x_train=images(40), x_test=images(30, seed=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLO_CACHE", str(folder / "cache"))
        assert train(str(folder / "two.npz"), folder / "run", "--prior", "gaussian") == 0
    return folder


def test_a_table_and_a_file(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(two / "run"), "--n", "20", "--prior", "gaussian,gaussian"]) == 0
    said = capsys.readouterr()
    values = json.loads((two / "run" / "evaluation.json").read_text("utf-8"))
    assert list(values["priors"]) == ["gaussian"]
    lines = said.out.splitlines()
    header = next(line.split() for line in lines if "floor" in line)
    assert header == ["floor", "training", "held-out", "gaussian"]
    row = next(line.split() for line in lines if line.strip().startswith("FD"))
    fd = [values["floor"]["fd"], values["reconstructions"]["fd"]["value"]]
    fd.append(values["priors"]["gaussian"]["fd"]["value"])
    assert row == ["FD", f"{fd[0]:.3g}", f"{fd[1]:.3g}", "-", f"{fd[2]:.3g}"]
    assert any(line.split() == ["right", "half", "nearest"] for line in lines)
    for part in (
        "Right half: of 20 held-out images",
        "thumbnails of 8 x 8, 64 numbers (for grey images other than MNIST there is no network)",
        "compared with 20 held-out examples",
        "gaussian, in thumbnails of 8 x 8: ",
        "Warning: 20 examples are fewer than the 64 features",
        f"All figures: {two / 'run' / 'evaluation.json'}",
    ):
        assert part in said.out
    assert "searching codes of held-out examples: 20 of 20\n" in said.err
    assert "Warning" not in said.err


def test_without_held_out_examples_a_sentence(
    tmp_path: Path, two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_data(tmp_path)
    assert train(data, tmp_path / "run", "--prior", "gaussian") == 0
    capsys.readouterr()
    out = tmp_path / "new" / "figures.json"
    assert run(["evaluate", str(tmp_path / "run"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "There are no held-out examples" in said
    assert "FD" not in said
    assert json.loads(out.read_text("utf-8"))["heldout"] is None
    np.save(tmp_path / "more.npy", images(20, seed=5))
    assert run(["evaluate", str(tmp_path / "run"), data, "--heldout", "more.npy"]) == 0
    assert "FD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--prior", "imel"], "There is no prior 'imel'"),
        (["--n", "2"], "--n is 2; "),
        (["--features", "digist"], "There are no features 'digist'"),
        (["--features", "broken.pt"], "broken.pt"),
        (["--features", "broken.safetensors"], "is not a digit network"),
        (["--heldout", "wide.npy"], "are of 1 x 16 x 16, but"),
        (["--out", "figures.txt"], "--out is figures.txt; it must be a file that ends in .json."),
        (["--out", "folder.json"], "--out is folder.json; it must be a file"),
    ],
)
def test_mistakes_are_one_sentence(
    two: Path, tmp_path: Path, words: list[str], part: str, refuse: Refuse
) -> None:
    for name in ("broken.pt", "broken.safetensors"):
        (tmp_path / name).write_bytes(b"no network at all")
    (tmp_path / "folder.json").mkdir()
    np.save(tmp_path / "wide.npy", images(20, side=16))
    refuse(["evaluate", str(two / "run"), *words], part)


def test_another_run_and_other_data(
    two: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(made)]) == 2
    assert "give them as DATA: glo evaluate" in capsys.readouterr().err
    assert run(["evaluate", str(two / "run"), save_data(tmp_path, images(40, seed=9))]) == 2
    assert "These are not the data that" in capsys.readouterr().err
