"""Decoders of somebody's own: trained, saved, opened, and not imported because a file says so."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import finish, images, samples, save_data, session, settings, train
from torch import Tensor, nn

import glo
from glo.cli.app import run as command
from glo.decoders import (
    DCGAN,
    Decoder,
    build_decoder,
    check_custom,
    class_name,
    custom_config,
)
from glo.errors import UserError
from glo.training.statistics import StepRecord
from glo.workflows.edit_rows import add_rows, forget_rows

MODULE = """
import torch
from torch import nn

from glo.decoders import Decoder

print("imported")


class Plain(Decoder):
    name = "plain"

    def __init__(self, *, code_dim, shape, width=8):
        super().__init__(code_dim=code_dim, shape=shape, width=width)
        n = torch.Size(self.shape).numel()
        self.net = nn.Sequential(nn.Linear(code_dim, width), nn.GELU(), nn.Linear(width, n))

    def forward(self, codes):
        return self.net(self.checked(codes)).float().reshape(-1, *self.shape)
"""


class Plain(Decoder):
    """One hidden layer, for examples of any shape."""

    name = "plain"

    def __init__(self, *, code_dim: int, shape: Any, width: int = 8) -> None:
        super().__init__(code_dim=code_dim, shape=shape, width=width)
        n = torch.Size(self.shape).numel()
        self.net = nn.Sequential(nn.Linear(code_dim, width), nn.GELU(), nn.Linear(width, n))

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.net(self.checked(codes))
        return made.float().reshape(-1, *self.shape)


NAME = class_name(Plain)
SHORT = {"epochs": 2, "prior": "gaussian", "device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("own") / "run"
    drive(out)
    return out


def drive(out: Path, *, stop: int = 0) -> None:
    sitting = glo.TrainingRun(
        out, samples(), settings(**SHORT), source="noise", preset="mnist", decoder=Plain
    )
    try:
        for event in sitting.events():
            if isinstance(event, StepRecord) and event.step == stop:
                sitting.save()
                return
    finally:
        sitting.close()


def test_a_run_keeps_the_name_and_is_opened_with_the_class(folder: Path) -> None:
    run = glo.open_run(folder, decoder=Plain)
    assert run.settings.decoder == NAME
    assert isinstance(run.decoder, Plain)
    # The width of the settings, which this class takes.
    assert run.decoder.config["width"] == 4
    assert run.sample(3, seed=1).shape == (3, 1, 8, 8)


def test_it_goes_on_to_the_bit(folder: Path, tmp_path: Path) -> None:
    drive(tmp_path / "run", stop=4)
    drive(tmp_path / "run")
    runs = [glo.open_run(each, decoder=Plain) for each in (folder, tmp_path / "run")]
    assert torch.equal(runs[0].codes, runs[1].codes)
    for name, weight in runs[0].decoder.state_dict().items():
        assert torch.equal(runs[1].decoder.state_dict()[name], weight), name


def test_without_the_class_there_is_a_sentence_and_the_rest_works(folder: Path) -> None:
    run = glo.open_run(folder)
    assert run.codes.shape == (20, 4)
    for ask in (lambda: run.decoder, lambda: glo.load(folder)):
        with pytest.raises(UserError, match=r"no code is run because a file names it") as raised:
            ask()
        assert f"--decoder {NAME}" in str(raised.value)


class Other(Plain):
    """Another decoder."""

    name = "other"


def test_another_class_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The decoder's name is 'plain'; choose 'other'"):
        _ = glo.open_run(folder, decoder=Other).decoder
    finish(tmp_path / "run", **SHORT)
    with pytest.raises(UserError, match=r"has a decoder of glo, and .*Plain was given"):
        _ = glo.open_run(tmp_path / "run", decoder=Plain).decoder


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_vectors_come_back_in_their_units(tmp_path: Path, vectors: Any) -> None:
    rows = 100 + 7 * np.asarray(vectors(40).rows)
    model = glo.GLO(code_dim=3, width=16, epochs=40, decoder=Plain, prior="gaussian")
    model.fit(rows)
    made = model.inverse_transform(model.codes_)
    assert abs(made.mean() - 100) < 5
    model.save(tmp_path / "saved")
    again = glo.load(tmp_path / "saved", decoder=Plain)
    np.testing.assert_allclose(again.inverse_transform(model.codes_), made, atol=1e-3)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.inverse_transform(model.codes_), made)
    assert copied.get_params()["decoder"] is Plain
    assert json.loads((tmp_path / "saved/estimator.json").read_text())["params"]["decoder"] == NAME


def test_rows_come_and_go(tmp_path: Path) -> None:
    drive(tmp_path / "run")
    more = samples(5, seed=1)
    list(add_rows(tmp_path / "run", more, source="more", device="cpu", decoder=Plain))
    list(forget_rows(tmp_path / "run", torch.tensor([0, 3]), decoder=Plain))
    assert glo.open_run(tmp_path / "run", decoder=Plain).codes.shape == (23, 4)


class Forgetful(Plain):
    """Says nothing of its width."""

    name = "forgetful"

    def __init__(self, *, code_dim: int, shape: Any, width: int = 8) -> None:
        super().__init__(code_dim=code_dim, shape=shape, width=width)
        del self.config["width"]


class Flat(Plain):
    """Makes vectors of what should be images."""

    name = "flat"

    def forward(self, codes: Tensor) -> Tensor:
        return super().forward(codes).flatten(1)


class Broken(Plain):
    """Cannot be called."""

    name = "broken"

    def forward(self, codes: Tensor) -> Tensor:
        raise RuntimeError("of its own")


class Taken(Plain):
    """Has the name of another."""

    name = "dcgan"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (Forgetful, "pass all its keywords on"),
        (Flat, r"makes torch.float32 of shape \(64,\) from a code"),
        (Broken, "cannot be made and called: RuntimeError: of its own"),
        (Taken, "has 'dcgan' as its name"),
        (Decoder, "is no decoder"),
        (nn.Linear, "is no decoder"),
        (DCGAN, "has 'dcgan' as its name"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_before_anything_is_written(
    tmp_path: Path, own: Any, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        glo.TrainingRun(
            tmp_path / "run",
            samples(),
            settings(),
            source="noise",
            preset="mnist",
            decoder=own,
        )
    assert not (tmp_path / "run").exists()


class Columned(Plain):
    """Has something where the columns are kept."""

    name = "columned"

    def __init__(self, *, code_dim: int, shape: Any) -> None:
        super().__init__(code_dim=code_dim, shape=shape)
        self.register_buffer("shift", torch.zeros(1))


def test_names_of_the_columns_are_taken() -> None:
    base = {"code_dim": 2, "shape": [3], "standardised": True}
    check_custom(Plain, custom_config(Plain, base, width=4))
    with pytest.raises(UserError, match="has a 'shift' of its own"):
        build_decoder(custom_config(Columned, base, width=4), Columned)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "shapes_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    yield "shapes_of_mine:Plain"
    sys.modules.pop("shapes_of_mine", None)


def test_the_commands(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = save_data(tmp_path), tmp_path / "run"
    assert train(data, out, "--prior", "gaussian", "--decoder", module) == 0
    assert (out / "report.html").is_file()
    np.save(tmp_path / "more.npy", images(3, seed=1))
    more = str(tmp_path / "more.npy")
    verbs = [
        ["sample", str(out), "--n", "4"],
        ["encode", str(out), more, "--out", str(tmp_path / "codes.npz")],
        ["walk", str(out), "0", "1", "--steps", "3"],
        ["report", str(out)],
        ["export", str(out), "--hub", str(tmp_path / "hub")],
        ["add", str(out), more],
        ["forget", str(out), "0-1"],
    ]
    for verb in verbs:
        assert command([*verb, "--decoder", module]) == 0, verb
    assert command(["info", str(out)]) == 0
    capsys.readouterr()
    # Not named: neither imported nor run.
    sys.modules.pop("shapes_of_mine")
    for verb in [*verbs[:4], *verbs[5:], ["explore", str(out), "--no-browser"]]:
        assert command(verb) == 2, verb
        said = capsys.readouterr()
        assert f"if you trust it, name it: --decoder {module}" in said.err
        assert "imported" not in said.out
    words = ["--config", str(out / "config.toml"), "--out", str(tmp_path / "again")]
    assert command(["train", data, *words]) == 2
    assert "shapes_of_mine" not in sys.modules
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:Plain", "finds no module 'no_such_module'"),
        ("shapes_of_mine:Nothing", "shapes_of_mine has no 'Nothing'"),
        ("shapes_of_mine:nn.Linear", "is no decoder"),
        ("shapes_of_mine:", "decoder is 'shapes_of_mine:'; it must be one of"),
        ("plan", "Did you mean"),
    ],
)
def test_a_name_that_is_wrong(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    data = save_data(tmp_path)
    name = name.replace("plan", "dcgna")
    assert train(data, tmp_path / "run", "--decoder", name) == 2
    assert said in capsys.readouterr().err


def test_a_session_needs_the_class_for_settings_that_name_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no code is run because a file names it"):
        session(tmp_path / "run", decoder=NAME)
