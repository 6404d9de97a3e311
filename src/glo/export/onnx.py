"""A run as ONNX files: what any runtime needs to sample it, without Python and without torch."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from glo._version import __version__
from glo.errors import require_extra
from glo.export.graphs import DecoderGraph, SamplerGraph
from glo.runs.run import Run
from glo.utils.files import atomic_write
from glo.utils.json_toml import write_json
from glo.utils.random import normal

__all__ = ["Graphs", "export_onnx", "write_graph"]

# Read by every runtime since 2023, and the oldest that the exporter of torch writes by itself.
_OPSET = 18
_CHECKED = 16


@final
@dataclass(frozen=True, kw_only=True)
class Graphs:
    """What was written.

    Attributes:
        decoder: path of decoder.onnx.
        sampler: path of sampler.onnx.
        about: path of about.json.
        difference: largest difference of 16 samples from those of this package, in their units.
    """

    decoder: Path
    sampler: Path
    about: Path
    difference: float


def export_onnx(run: Run, folder: Path, *, prior: str | None = None) -> Graphs:
    """Write the decoder and a prior of a run as ONNX files, and compare what they compute.

    Two graphs with any number of rows: `sampler.onnx`, from `noise`, float32 (B, noise_dim), and
    `temperature`, float32 (), to `codes`, (B, D); and `decoder.onnx`, from `codes` to `examples`,
    (B, *shape), images in [-1, 1] and vectors in the units of the data. `about.json` has the sizes.
    They compute in float32 where `Run.sample` may use bfloat16.

    Args:
        run: finished.
        folder: is made; files of these names are replaced.
        prior: which one; None: that of the run.

    Returns:
        the paths, and how far apart the two programs are.

    Raises:
        UserError: the prior is missing or cannot be exported, or a library is not installed.

    Example:
        >>> made = export_onnx(open_run("runs/mnist"), Path("onnx"))  # doctest: +SKIP
        >>> made.difference < 1e-3  # doctest: +SKIP
        True
    """
    require_extra("ONNX export", "onnx", "onnx", "onnxscript", "onnxruntime")
    source = run.prior(prior)
    decoder, sampler = DecoderGraph(run), SamplerGraph(source)
    about = _about(run, source.name, source.noise_dim)
    one = torch.tensor(1.0)
    noise = normal(0, 0, _CHECKED, source.noise_dim, stream="samples")
    with torch.no_grad():
        codes = sampler(noise, one)
        wanted = decoder(codes)
    paths = [folder / "sampler.onnx", folder / "decoder.onnx"]
    write_graph(sampler, {"noise": noise, "temperature": one}, "codes", paths[0], about)
    write_graph(decoder, {"codes": codes}, "examples", paths[1], about)
    write_json(folder / "about.json", about)
    made = _run(paths[1], {"codes": _run(paths[0], {"noise": noise, "temperature": one})})
    return Graphs(
        sampler=paths[0],
        decoder=paths[1],
        about=folder / "about.json",
        difference=float((made - wanted).abs().max()),
    )


def _about(run: Run, prior: str, noise_dim: int) -> dict[str, Any]:
    return {
        "format": 1,
        "version": __version__,
        "data": run.data.name,
        "n": run.data.n,
        "shape": list(run.data.shape),
        "code_dim": run.settings.code_dim,
        "constraint": run.settings.constraint,
        "prior": prior,
        "noise_dim": noise_dim,
    }


def write_graph(
    graph: nn.Module, inputs: dict[str, Tensor], output: str, path: Path, about: dict[str, Any]
) -> None:
    """Write one function of tensors as an ONNX file with any number of rows, whole or not at all.

    Args:
        graph: the function.
        inputs: its arguments by name, in order; rows of some number, or a scalar.
        output: name of its result.
        path: of the file.
        about: is kept in the file as JSON, under "glo".
    """
    import onnx_ir
    from onnx_ir.passes.common import DeduplicateHashedInitializersPass

    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            opset_version=_OPSET,
            dynamic_shapes=tuple({0: batch} if value.ndim else {} for value in inputs.values()),
            verbose=False,
        )
    assert program is not None, "the new exporter returns a program"
    # By way of the file's own form, in which all weights lie in order.
    model = onnx_ir.from_proto(program.model_proto)
    # The exporter turns a weight once for each use, and a field is used at every step of its way.
    DeduplicateHashedInitializersPass()(model)
    model.metadata_props.update({"glo": json.dumps(about)})
    with atomic_write(path) as writing:
        onnx_ir.save(model, writing)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from talking of its own parts, and of libraries that are not needed."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _run(path: Path, inputs: dict[str, Tensor]) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return torch.from_numpy(output)
