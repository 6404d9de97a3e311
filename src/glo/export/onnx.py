"""ONNX export: decoder, prior and encoder as graphs, for use without Python and torch."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from glo._version import __version__
from glo.errors import UserError, require_extra
from glo.latents.constraints import project
from glo.priors import Prior
from glo.runs.run import Run
from glo.training.factory import load_standardizer
from glo.utils.files import atomic_write
from glo.utils.json_toml import write_json
from glo.utils.random import normal

__all__ = ["DecoderGraph", "EncoderGraph", "Graphs", "SamplerGraph", "export_onnx", "write_graph"]

# Every runtime since 2023 reads it; the oldest that the exporter of torch writes by itself.
_OPSET = 18
_COMPARED_SAMPLES = 16
# Priors that map noise to codes by a fixed number of tensor operations, each tested.
_PRIORS = ("gaussian", "mixture", "flow-matching", "imle")


@final
@dataclass(frozen=True, kw_only=True)
class Graphs:
    """Files of an export.

    Attributes:
        decoder: path of decoder.onnx.
        sampler: path of sampler.onnx.
        encoder: path of encoder.onnx, or None for a run without an encoder.
        about: path of about.json.
        difference: largest difference of 16 samples from those of this package, in their units.
        code_difference: largest difference of the codes of these samples, or 0.
    """

    decoder: Path
    sampler: Path
    encoder: Path | None
    about: Path
    difference: float
    code_difference: float


def export_onnx(run: Run, folder: Path, *, prior: str | None = None) -> Graphs:
    """Write decoder, prior and encoder of a run as ONNX files, and compare their outputs.

    Graphs with any number of rows: `sampler.onnx`, from `noise`, float32 (B, noise_dim), and
    `temperature`, float32 (), to `codes`, (B, D); and `decoder.onnx`, from `codes` to `examples`,
    (B, *shape), images in [-1, 1] and vectors in the units of the data. Of a run with an encoder
    `encoder.onnx`, from `examples` and `mask`, 1 where observed, (B, 1, H, W) or (B, F), to
    `codes`. `about.json` has the sizes.
    They compute in float32 where `Run.sample` may use bfloat16.

    Args:
        run: finished.
        folder: path of the output folder; existing files of these names are replaced.
        prior: name of the prior; None: the default prior of the run.

    Raises:
        UserError: the prior is missing or cannot be exported, or a library is not installed.
    """
    require_extra("ONNX export", "onnx", "onnx", "onnxscript", "onnxruntime")
    source = run.prior(prior)
    decoder, sampler = DecoderGraph(run), SamplerGraph(source)
    about = {
        "format": 1,
        "version": __version__,
        "data": run.data.name,
        "n": run.data.n,
        "shape": list(run.data.shape),
        "code_dim": run.settings.code_dim,
        "constraint": run.settings.constraint,
        "prior": source.name,
        "noise_dim": source.noise_dim,
        "encoder": run.encoder is not None,
    }
    noise = normal(0, 0, _COMPARED_SAMPLES, source.noise_dim, stream="samples")
    inputs = {"noise": noise, "temperature": torch.tensor(1.0)}
    with torch.no_grad():
        codes = sampler(**inputs)
        expected = decoder(codes)
    paths = {name: folder / f"{name}.onnx" for name in ("sampler", "decoder")}
    write_graph(sampler, inputs, "codes", paths["sampler"], about)
    write_graph(decoder, {"codes": codes}, "examples", paths["decoder"], about)
    encoder, code_difference = _write_encoder(run, folder / "encoder.onnx", expected, about)
    write_json(folder / "about.json", about)
    examples = _run(paths["decoder"], {"codes": _run(paths["sampler"], inputs)})
    difference = float((examples - expected).abs().max())
    return Graphs(
        **paths,
        encoder=encoder,
        about=folder / "about.json",
        difference=difference,
        code_difference=code_difference,
    )


def _write_encoder(
    run: Run, path: Path, examples: Tensor, about: dict[str, Any]
) -> tuple[Path | None, float]:
    """Write the encoder, if the run has one, and return its path and the difference of codes."""
    if run.encoder is None:
        # That of an earlier export to this folder is of another run.
        path.unlink(missing_ok=True)
        return None, 0.0
    graph = EncoderGraph(run)
    mask = torch.ones_like(examples[:, :1] if run.is_images else examples)
    inputs = {"examples": examples.float(), "mask": mask.float()}
    with torch.no_grad():
        expected = graph(**inputs)
    write_graph(graph, inputs, "codes", path, about)
    return path, float((_run(path, inputs) - expected).abs().max())


@final
class DecoderGraph(nn.Module):
    """Module that maps codes (B, D) to examples (B, *shape), vectors in the units of the data."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        # A new network: the run's own may be on another device.
        self.decoder = run.checkpoint.decoder(run.decoder_class)
        self.columns = load_standardizer(self.decoder)

    def forward(self, codes: Tensor) -> Tensor:
        """Decode codes to float32 (B, *shape), images in [-1, 1]."""
        examples: Tensor = self.decoder(codes)
        return examples if self.columns is None else self.columns.inverse_transform(examples)


@final
class EncoderGraph(nn.Module):
    """Module that maps examples (B, *shape), vectors in the units of the data, to codes (B, D)."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        assert run.encoder is not None, "the caller checked it"
        # A copy: the run's own may be on another device.
        self.encoder = deepcopy(run.encoder).cpu()
        self.columns = load_standardizer(run.decoder)

    def forward(self, examples: Tensor, mask: Tensor) -> Tensor:
        """Encode examples whose `mask`, (B, 1, H, W) or (B, F), is 1 where observed."""
        if self.columns is not None:
            examples = self.columns.transform(examples).float()
        codes: Tensor = self.encoder(examples, mask)
        return codes


@final
class SamplerGraph(nn.Module):
    """Module that maps standard normal noise (B, noise_dim) to codes (B, D) of a fitted prior."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        if prior.name not in _PRIORS:
            raise UserError(
                f"The prior {prior.name} cannot be exported; choose one of {', '.join(_PRIORS)}."
            )
        self.prior = prior

    def forward(self, noise: Tensor, temperature: Any) -> Tensor:
        """Map noise to codes; the temperature is a tensor (), so that it stays an input."""
        return project(self.prior.from_noise(noise, temperature=temperature), self.prior.constraint)


def write_graph(
    graph: nn.Module, inputs: dict[str, Tensor], output: str, path: Path, about: dict[str, Any]
) -> None:
    """Write a module as an ONNX file with any number of rows, atomically.

    Inputs are example arguments by name, in order: tensors with rows, or scalars; `about` is stored
    as JSON under "glo".
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
    # From the protobuf form, in which all weights are in order.
    model = onnx_ir.from_proto(program.model_proto)
    # The exporter writes a weight once per use, and a flow uses its network at every step.
    DeduplicateHashedInitializersPass()(model)
    model.metadata_props.update({"glo": json.dumps(about)})
    with atomic_write(path) as temporary:
        onnx_ir.save(model, temporary)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which reports internals and optional libraries."""
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
