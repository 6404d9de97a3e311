"""Compiled decoders: real ones, as plain as torch makes them, so that they take seconds."""

import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._inductor.config as inductor
from tests.builders import Recorder, session

from glo.cli.app import run
from glo.config.settings import Settings
from glo.data import Dataset
from glo.errors import UserError
from glo.runs.run import open_run
from glo.training.state import TrainState
from glo.utils.distributed import ProcessGroup
from glo.workflows.preflight import check_settings

# torch's own use of what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

CHOICES = {"decoder": "mlp", "epochs": 2, "batch_size": 10, "device": "cpu", "refine_passes": 0}
CHOICES |= {"precision": "float32", "prior": "gaussian"}


@pytest.fixture(scope="module", autouse=True)
def plain() -> Iterator[None]:
    """Let torch compile without vector instructions, which take it half a minute to try."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.is_file() or not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("there is no C++ compiler; on Debian: apt-get install g++ python3-dev")
    few = {"cpp.simdlen": 1, "cpp_cache_precompile_headers": False, "compile_threads": 1}
    with inductor.patch(few):
        yield
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def data(vectors) -> Dataset:
    return vectors(20)


def drive(folder: Path, data: Dataset, *, stop: int = 0, compile: bool = True) -> list[float]:
    recorder = Recorder()
    training = session(folder, data, recorder, **CHOICES, compile=compile)
    training._stop = lambda: training.state is not None and training.state.step == stop
    training.fit()
    training.close()
    return [record.loss for hook, record in recorder.events if hook == "on_step"]


@pytest.fixture(scope="module")
def made(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    folder = tmp_path_factory.mktemp("compiled") / "run"
    return folder, drive(folder, data)


def test_it_learns_what_the_plain_decoder_does(
    made: tuple[Path, list[float]], data: Dataset, tmp_path: Path
) -> None:
    plain = drive(tmp_path / "plain", data, compile=False)
    assert len(plain) == 4
    np.testing.assert_allclose(made[1], plain, rtol=1e-4)


def test_a_run_keeps_the_plain_decoder(made: tuple[Path, list[float]]) -> None:
    opened = open_run(made[0])
    assert opened.settings.compile
    assert not any("_orig_mod" in name for name in opened.decoder.state_dict())
    assert opened.sample(3, seed=1).shape == (3, 6)


def test_it_goes_on_to_the_bit(
    made: tuple[Path, list[float]], data: Dataset, tmp_path: Path
) -> None:
    first = drive(tmp_path / "run", data, stop=2)
    assert first + drive(tmp_path / "run", data) == made[1]
    assert torch.equal(open_run(tmp_path / "run").codes, open_run(made[0]).codes)


def test_the_network_is_compiled_only_if_asked_for(begin, data: Dataset) -> None:
    plain: TrainState = begin(data)
    assert plain.network is plain.decoder
    other: TrainState = begin(data, compile=True)
    assert isinstance(other.network, torch._dynamo.OptimizedModule)


def test_without_a_compiler_it_is_said_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "data.npy", np.ones((20, 6), "float32"))
    words = ["train", str(tmp_path / "data.npy"), "--compile", "--device", "cpu"]
    # What was compiled before needs no compiler.
    torch._dynamo.reset()
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert run([*words, "--out", str(tmp_path / "run")]) == 2
    torch._dynamo.reset()
    (line,) = capsys.readouterr().err.splitlines()
    assert "install a C++ compiler" in line
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(data: Dataset) -> None:
    with pytest.raises(UserError, match="compile is for one process, and here are 2"):
        check_settings(data, Settings(compile=True), ProcessGroup(0, 2))
