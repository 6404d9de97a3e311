"""Custom decoders: modules, classes and functions; trained, saved, opened, never imported."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from tests.builders import finish, images, samples, save_data, session, settings, train
from torch import Tensor, nn

import glo
from glo.cli.app import run as command
from glo.decoders import DecoderLike, ModuleDecoder, decoder_name
from glo.errors import UserError
from glo.workflows.edit_rows import add_rows, forget_rows
from glo.workflows.train import TrainingRun

MODULE = """
import torch
from torch import nn

print("imported")


class Plain(nn.Module):
    def __init__(self, code_dim, shape, width=8):
        super().__init__()
        n = torch.Size(shape).numel()
        self.net = nn.Sequential(nn.Linear(code_dim, width), nn.GELU(), nn.Linear(width, n))
        self.shape = shape

    def forward(self, codes):
        return self.net(codes).unflatten(1, self.shape)


constant = 3
"""


class Plain(nn.Module):
    """One hidden layer, for examples of any shape."""

    def __init__(self, code_dim: int, shape: Any, width: int = 8) -> None:
        super().__init__()
        n = torch.Size(shape).numel()
        self.net = nn.Sequential(nn.Linear(code_dim, width), nn.GELU(), nn.Linear(width, n))
        self.shape = shape

    def forward(self, codes: Tensor) -> Tensor:
        output: Tensor = self.net(codes)
        return output.unflatten(1, self.shape)


def make() -> nn.Module:
    """Make a lazy network for images of 8 x 8, with a transposed convolution and batch norm."""
    return nn.Sequential(
        nn.LazyLinear(32 * 16),
        nn.Unflatten(1, (32, 4, 4)),
        nn.LazyBatchNorm2d(),
        nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
    )


SHORT = {"epochs": 2, "prior": "gaussian", "device": "cpu", "precision": "float32"}
KINDS: dict[str, DecoderLike] = {
    "class": Plain,
    "function": make,
    "instance": nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))),
    "subclass of Decoder": glo.decoders.DCGAN,
}


def drive(out: Path, decoder: DecoderLike, *, stop: int = 0) -> None:
    training = TrainingRun(
        out,
        samples(),
        settings(**SHORT),
        source="noise",
        preset="mnist",
        decoder=decoder,
        stop=lambda: training.state is not None and training.state.step == stop,
    )
    training.fit()
    training.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_opened_and_sampled(tmp_path: Path, kind: str) -> None:
    decoder = KINDS[kind]
    drive(tmp_path / "run", decoder)
    run = glo.open_run(tmp_path / "run", decoder=decoder)
    assert run.settings.decoder == decoder_name(decoder)
    assert isinstance(run.decoder, ModuleDecoder)
    assert run.sample(3, seed=1).shape == (3, 1, 8, 8)


def test_a_run_resumes_to_the_bit_and_is_exported(tmp_path: Path) -> None:
    # Wide enough for Muon, on kernels that are not those of this package.
    drive(tmp_path / "a", make)
    drive(tmp_path / "b", make, stop=4)
    drive(tmp_path / "b", make)
    runs = [glo.open_run(tmp_path / name, decoder=make) for name in "ab"]
    assert torch.equal(runs[0].codes, runs[1].codes)
    for name, weight in runs[0].decoder.state_dict().items():
        assert torch.equal(runs[1].decoder.state_dict()[name], weight), name
    pytest.importorskip("onnxruntime")
    from glo.export.onnx import export_onnx

    assert export_onnx(runs[0], tmp_path / "onnx").decoder.is_file()


def test_the_width_of_the_settings_reaches_a_class(tmp_path: Path) -> None:
    drive(tmp_path / "run", Plain)
    network = glo.open_run(tmp_path / "run", decoder=Plain).decoder.get_submodule("module.net")
    assert isinstance(network, nn.Sequential)
    assert network[0].out_features == 4


def test_an_instance_gives_its_weights_and_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(4, 3))
    before = module[0].weight.detach().clone()
    decoder = ModuleDecoder(module, code_dim=4, shape=(3,))
    assert torch.equal(decoder.get_parameter("module.0.weight"), before)
    with torch.no_grad():
        decoder.get_parameter("module.0.weight").zero_()
    assert torch.equal(module[0].weight, before)


def test_without_the_decoder_the_rest_of_a_run_works(tmp_path: Path) -> None:
    drive(tmp_path / "run", Plain)
    run = glo.open_run(tmp_path / "run")
    assert run.codes.shape == (20, 4)
    for ask in (lambda: run.decoder, lambda: glo.load(tmp_path / "run")):
        with pytest.raises(UserError, match=f"--decoder {decoder_name(Plain)}"):
            ask()
    with pytest.raises(UserError, match="decoder"):
        session(tmp_path / "other", decoder=decoder_name(Plain))


def test_another_decoder_than_that_of_the_run_is_refused(tmp_path: Path) -> None:
    drive(tmp_path / "run", Plain)
    with pytest.raises(UserError, match=r"test_custom:make"):
        _ = glo.open_run(tmp_path / "run", decoder=make).decoder
    finish(tmp_path / "built-in", **SHORT)
    with pytest.raises(UserError, match=r"test_custom:Plain"):
        _ = glo.open_run(tmp_path / "built-in", decoder=Plain).decoder


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("decoder", [Plain, Plain(3, (6,), 16)], ids=["class", "instance"])
def test_vectors_come_back_in_their_units(tmp_path: Path, vectors: Any, decoder: Any) -> None:
    rows = 100 + 7 * np.asarray(vectors(40).rows)
    model = glo.GLO(code_dim=3, width=16, epochs=40, decoder=decoder, prior="gaussian")
    model = clone(model).fit(rows)
    decoded = model.inverse_transform(model.codes_)
    assert abs(decoded.mean() - 100) < 5
    assert model.transform(rows[:2]).shape == (2, 3)
    model.save(tmp_path / "saved")
    again = glo.load(tmp_path / "saved", decoder=decoder)
    np.testing.assert_allclose(again.inverse_transform(model.codes_), decoded, atol=1e-3)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.inverse_transform(model.codes_), decoded)
    params = json.loads((tmp_path / "saved/estimator.json").read_text())["params"]
    assert params["decoder"] == decoder_name(decoder)


def test_rows_are_added_and_removed(tmp_path: Path) -> None:
    drive(tmp_path / "run", Plain)
    more = samples(5, seed=1)
    list(add_rows(tmp_path / "run", more, source="more", device="cpu", decoder=Plain))
    list(forget_rows(tmp_path / "run", torch.tensor([0, 3]), decoder=Plain))
    assert glo.open_run(tmp_path / "run", decoder=Plain).codes.shape == (23, 4)


class Broken(Plain):
    """Cannot be called."""

    def forward(self, codes: Tensor) -> Tensor:
        raise RuntimeError("on purpose")


class Pair(Plain):
    """Returns two tensors."""

    def forward(self, codes: Tensor) -> Any:
        return super().forward(codes), codes


class NoParameters(nn.Module):
    """Has a buffer only."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 8, 8))

    def forward(self, codes: Tensor) -> Tensor:
        return self.mean.expand(len(codes), 1, 8, 8)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (nn.Linear(4, 64), r"\(2, 64\).*\(2, 1, 8, 8\); add nn.Unflatten\(1, \(1, 8, 8\)\)"),
        (nn.Linear(4, 7), r"\(2, 7\).*\(2, 1, 8, 8\)\."),
        (nn.Linear(3, 64), "cannot be called.*RuntimeError"),
        (Plain(4, (1, 8, 8)).double(), "torch.float64"),
        (Plain(4, (1, 8, 8)).bfloat16(), "torch.bfloat16"),
        (nn.Linear, "Linear cannot be made: TypeError.*in_features"),
        (Broken, "on purpose"),
        (Pair, "returns tuple"),
        (NoParameters, "no parameters"),
        (nn.Sequential(), "no parameters"),
        (lambda: 3, "returns int"),
        (3, "decoder is 3"),
    ],
)
def test_decoders_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, decoder: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        TrainingRun(
            tmp_path / "run",
            samples(),
            settings(),
            source="noise",
            preset="mnist",
            decoder=decoder,
        )
    assert not (tmp_path / "run").exists()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "custom_shapes.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    yield "custom_shapes:Plain"
    sys.modules.pop("custom_shapes", None)


def test_the_commands(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = save_data(tmp_path), tmp_path / "run"
    assert train(data, out, "--prior", "gaussian", "--decoder", module) == 0
    assert (out / "report.html").is_file()
    np.save(tmp_path / "more.npy", images(3, seed=1))
    more = str(tmp_path / "more.npy")
    verbs = [
        ["sample", str(out), "--n", "4"],
        ["encode", str(out), more, "--out", str(tmp_path / "codes.npz")],
        ["walk", str(out), "row:0", "row:1", "--steps", "3"],
        ["report", str(out)],
        ["export", str(out), "--hub", str(tmp_path / "hub")],
        ["add", str(out), more],
        ["forget", "--yes", str(out), "row:0-1"],
    ]
    for verb in verbs:
        assert command([*verb, "--decoder", module]) == 0, verb
    assert command(["info", str(out)]) == 0
    capsys.readouterr()
    # Without --decoder the module is neither imported nor run.
    sys.modules.pop("custom_shapes")
    for verb in [*verbs[:4], *verbs[5:], ["explore", str(out), "--no-browser"]]:
        assert command(verb) == 2, verb
        captured = capsys.readouterr()
        assert f"--decoder {module}" in captured.err
        assert "imported" not in captured.out
    words = ["--config", str(out / "config.toml"), "--out", str(tmp_path / "again")]
    assert command(["train", data, *words]) == 2
    assert "custom_shapes" not in sys.modules
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Plain", "'no_such_module'"),
        ("custom_shapes:Nothing", "custom_shapes has no 'Nothing'"),
        ("custom_shapes:constant", "decoder is custom_shapes:constant"),
        ("custom_shapes:", "decoder is 'custom_shapes:'"),
        ("dcgna", "Did you mean"),
    ],
)
def test_a_wrong_name(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert train(save_data(tmp_path), tmp_path / "run", "--decoder", name) == 2
    assert message in capsys.readouterr().err
