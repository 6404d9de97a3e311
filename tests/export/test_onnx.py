"""ONNX files compute what this package computes, for any number of rows."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from glo import errors
from glo.cli.app import run as glo
from glo.errors import UserError
from glo.export import export_onnx
from glo.export.onnx import SamplerGraph, write_graph
from glo.priors import build_prior
from glo.runs.run import ENCODER_FILE, Run, open_run
from glo.training.factory import load_standardizer
from glo.utils.random import normal


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def sampled(folder: Path, n: int, *, seed: int, temperature: float) -> tuple[np.ndarray, ...]:
    """Return codes and examples that the two files make of the numbers of a seed."""
    about = json.loads((folder / "about.json").read_text("utf-8"))
    noise = normal(seed, 0, n, about["noise_dim"], stream="samples").numpy()
    spread = np.array(temperature, np.float32)
    feed = {"noise": noise, "temperature": spread}
    (codes,) = session(folder / "sampler.onnx").run(["codes"], feed)
    (examples,) = session(folder / "decoder.onnx").run(["examples"], {"codes": codes})
    return codes, examples


def test_samples_of_the_command_are_those_of_the_run(
    pictures: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "onnx"
    assert glo(["export", str(pictures.folder), "--onnx", str(out), "--prior", "mixture"]) == 0
    assert f"{out / 'sampler.onnx'}: noise to codes" in capsys.readouterr().out
    # Not the 16 rows that it was traced with, and fewer than two.
    for n in (1, 37):
        codes, examples = sampled(out, n, seed=3, temperature=0.7)
        wanted = pictures.prior("mixture").sample(n, seed=3, temperature=0.7)
        np.testing.assert_allclose(codes, wanted, atol=1e-5)
        pixels = pictures.sample(n, seed=3, prior="mixture", temperature=0.7)
        assert examples.shape == (n, 1, 8, 8)
        np.testing.assert_allclose(examples, pixels, atol=1e-4)
    check_files(out)


def check_files(out: Path) -> None:
    assert sorted(path.name for path in out.iterdir()) == [
        "about.json", "decoder.onnx", "encoder.onnx", "sampler.onnx",
    ]  # fmt: skip
    about = json.loads((out / "about.json").read_text("utf-8"))
    assert (about["prior"], about["noise_dim"], about["shape"]) == ("mixture", 5, [1, 8, 8])
    for name in ("sampler.onnx", "decoder.onnx", "encoder.onnx"):
        model = onnx.load(out / name)
        onnx.checker.check_model(model)
        assert {p.key: p.value for p in model.metadata_props}["glo"] == json.dumps(about)
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_vectors_from_a_field_are_in_the_units_of_the_data(numbers: Run, tmp_path: Path) -> None:
    made = export_onnx(numbers, tmp_path, prior="flow-matching")
    codes, examples = sampled(tmp_path, 9, seed=1, temperature=1.0)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1.0, atol=1e-5)
    wanted = numbers.sample(9, seed=1, prior="flow-matching").numpy()
    assert abs(wanted.mean()) > 300
    assert made.difference < 0.05
    np.testing.assert_allclose(examples, wanted, rtol=1e-4, atol=0.05)
    # The weights are in the file once, not once for each step of the way.
    weights = [each.raw_data for each in onnx.load(made.sampler).graph.initializer]
    large = [data for data in weights if len(data) > 64]
    assert len(large) == len(set(large)) > 5


@pytest.mark.parametrize("kind", ["pictures", "numbers"])
def test_the_encoder_gives_the_codes_of_the_run(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Run = request.getfixturevalue(kind)
    graphs = export_onnx(run, tmp_path)
    assert graphs.encoder is not None
    assert graphs.code_difference < 1e-4
    examples = run.reconstruct(torch.arange(7))
    shape = (7, 1, 8, 8) if run.is_images else tuple(examples.shape)
    mask = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.4).float()
    feed = {"examples": examples.float().numpy(), "mask": mask.numpy()}
    (codes,) = session(graphs.encoder).run(["codes"], feed)
    assert run.encoder is not None
    columns = load_standardizer(run.decoder)
    known = examples if columns is None else columns.transform(examples).float()
    np.testing.assert_allclose(codes, run.encoder(known, mask), atol=1e-4)


def test_a_stale_encoder_is_removed(numbers: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(numbers.folder, folder)
    export_onnx(open_run(folder), tmp_path / "out")
    (folder / ENCODER_FILE).unlink()
    graphs = export_onnx(open_run(folder), tmp_path / "out")
    assert graphs.encoder is None
    assert not (tmp_path / "out" / "encoder.onnx").exists()


@pytest.mark.parametrize("name", ["gaussian", "imle"])
def test_other_priors_give_the_same_codes(pictures: Run, tmp_path: Path, name: str) -> None:
    prior = pictures.prior(name)
    noise = normal(3, 0, 7, prior.noise_dim, stream="samples")
    inputs = {"noise": noise[:2], "temperature": torch.tensor(1.0)}
    write_graph(SamplerGraph(prior), inputs, "codes", tmp_path / "sampler.onnx", {})
    feed = {"noise": noise.numpy(), "temperature": np.array(0.7, np.float32)}
    (codes,) = session(tmp_path / "sampler.onnx").run(None, feed)
    np.testing.assert_allclose(codes, prior.sample(7, seed=3, temperature=0.7), atol=1e-5)


def test_priors_that_are_no_graph_are_refused() -> None:
    with pytest.raises(UserError, match="normalizing-flow cannot be exported; choose one of"):
        SamplerGraph(build_prior("normalizing-flow"))


def test_a_missing_library_is_one_sentence(
    pictures: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs onnx, .* pip install .*\[onnx\]"):
        export_onnx(pictures, tmp_path)


def test_nothing_to_do_is_said(pictures: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert glo(["export", str(pictures.folder)]) == 2
    assert "give --onnx, --web" in capsys.readouterr().err
