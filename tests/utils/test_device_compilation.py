"""Compiled decoders, without vector instructions, so that compilation takes seconds."""

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
from glo.utils.distributed import ProcessGroup
from glo.workflows.preflight import check_settings

# torch's own use of deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

OPTIONS = {"decoder": "mlp", "epochs": 2, "batch_size": 10, "device": "cpu", "refine_passes": 0}
OPTIONS |= {"precision": "float32", "prior": "gaussian"}


@pytest.fixture(scope="module", autouse=True)
def plain() -> Iterator[None]:
    """Compile without vector instructions, whose trial takes half a minute."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.is_file() or not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("there is no C++ compiler; on Debian: apt-get install g++ python3-dev")
    options = {"cpp.simdlen": 1, "cpp_cache_precompile_headers": False, "compile_threads": 1}
    with inductor.patch(options):
        yield
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def data(vectors) -> Dataset:
    return vectors(20)


def losses(folder: Path, data: Dataset, *, end: int = 0, compile: bool = True) -> list[float]:
    """Train to the end, or save and stop at a step."""
    recorder = Recorder()
    training = session(folder, data, recorder, **OPTIONS, compile=compile)
    training._stop = lambda: training.state is not None and training.state.step == end
    training.fit()
    training.close()
    return [record.loss for hook, record in recorder.events if hook == "on_step"]


@pytest.mark.slow
def test_a_compiled_run_equals_a_plain_one_and_resumes_exactly(
    data: Dataset, tmp_path: Path
) -> None:
    plain = losses(tmp_path / "plain", data, compile=False)
    whole = losses(tmp_path / "whole", data)
    assert len(plain) == 4
    np.testing.assert_allclose(whole, plain, rtol=1e-4)
    resumed = losses(tmp_path / "resumed", data, end=2) + losses(tmp_path / "resumed", data)
    assert resumed == whole
    opened = open_run(tmp_path / "whole")
    assert torch.equal(open_run(tmp_path / "resumed").codes, opened.codes)
    # The saved decoder is the plain one.
    assert opened.settings.compile
    assert not any("_orig_mod" in name for name in opened.decoder.state_dict())
    assert opened.sample(3, seed=1).shape == (3, 6)


def test_the_network_is_compiled_on_request_only(begin, data: Dataset) -> None:
    plain = begin(data)
    assert plain.network is plain.decoder
    assert isinstance(begin(data, compile=True).network, torch._dynamo.OptimizedModule)


def test_a_missing_compiler_is_reported_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "data.npy", np.ones((20, 6), "float32"))
    words = ["train", str(tmp_path / "data.npy"), "--compile", "--device", "cpu"]
    # Cached code needs no compiler.
    torch._dynamo.reset()
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert run([*words, "--out", str(tmp_path / "run")]) == 2
    torch._dynamo.reset()
    assert "install a C++ compiler" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(data: Dataset) -> None:
    with pytest.raises(UserError, match="compile"):
        check_settings(data, Settings(compile=True), ProcessGroup(0, 2))
