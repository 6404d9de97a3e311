"""What a checkpoint holds of a training, and the way back; see `glo.runs.checkpoint`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from glo.errors import UserError
from glo.runs.row_shards import rows_name
from glo.training.optim import JointOptimizer
from glo.training.state import TrainState
from glo.utils.safetensors_io import read_tensors

__all__ = ["contents", "restore"]

# What torch's optimisers keep of a weight.
_REMEMBERED = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")


def contents(training: TrainState) -> Iterator[tuple[str, dict[str, Tensor], dict[str, str]]]:
    """Yield the files that this process writes: name, tensors, and texts."""
    config = {"config": json.dumps(training.decoder.config)}
    ranks = training.ranks
    if ranks.main:
        yield "decoder.safetensors", training.decoder.state_dict(), config
        if training.averaged is not None:
            yield "averaged.safetensors", training.final_decoder.state_dict(), config
        yield "optimizer.safetensors", _optimizer_tensors(training.optimizer), {}
    of = {"rank": str(ranks.rank), "ranks": str(ranks.size)}
    rows = {"codes": training.codes, **training.code_optimizer.row_state()}
    yield rows_name("rows", ranks.rank, ranks.size), rows, of
    yield rows_name("statistics", ranks.rank, ranks.size), training.statistics.tensors(), {}


def _optimizer_tensors(optimizer: JointOptimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": value
        for index, values in enumerate(optimizer.state.values())
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def restore(training: TrainState, folder: Path, saved_by: int) -> None:
    """Give a training all that a checkpoint holds but rows and the decoder of its last step.

    Args:
        training: with the rows and the decoder of the checkpoint, and its counts of steps.
        folder: of the checkpoint.
        saved_by: how many processes saved it.

    Raises:
        UserError: a file does not fit the others.
    """
    if training.averaged is not None:
        finished = training.final_decoder
        averaged = read_tensors(folder / "averaged.safetensors", finished.state_dict())
        finished.load_state_dict(averaged)
        training.averaged.n_averaged.fill_(training.step - training.skipped)
    _restore_optimizer(training.optimizer, folder / "optimizer.safetensors")
    names = [rows_name("statistics", rank, saved_by) for rank in range(saved_by)]
    _restore_statistics(training, [folder / name for name in names])


def _restore_statistics(training: TrainState, paths: Sequence[Path]) -> None:
    parts, like = [read_tensors(path) for path in paths], training.statistics.tensors()
    for path, part in zip(paths, parts, strict=True):
        if not _fits(training, part, like):
            raise UserError(f"{path} does not fit the other files of its folder; it was edited.")
    training.statistics.restore(parts)


def _fits(training: TrainState, part: dict[str, Tensor], like: dict[str, Tensor]) -> bool:
    # How many rows are followed, and whether weights are remembered yet, may differ.
    kinds = [{k: (v.dtype, v.ndim) for k, v in each.items()} for each in (part, like)]
    if kinds[0] != kinds[1]:
        return False
    rows, first, codes, weights = (part[k] for k in ("rows", "first", "codes", "weights"))
    size = sum(p.numel() for p in training.decoder.parameters())
    fits = first.shape == codes.shape == (len(rows), training.codes.shape[1])
    fits = fits and len(weights) in (0, size) and 0 < len(rows) <= training.n
    fits = fits and bool(((rows >= 0) & (rows < training.n)).all())
    return fits and all(part[k].shape == like[k].shape for k in ("sums", "output", "due"))


def _restore_optimizer(optimizer: JointOptimizer, path: Path) -> None:
    states = list(optimizer.state.items())
    for name, value in read_tensors(path).items():
        index, _, key = name.partition(".")
        place = int(index) if index.isdecimal() and len(index) < 10 else len(states)
        shape = states[place][0].shape if place < len(states) else None
        if key not in _REMEMBERED or value.shape not in (shape, ()):
            raise UserError(f"{path} holds '{name}', which no weight needs; it was edited.")
        parameter, state = states[place]
        # Moments must lie in memory as their weights do: the fused step pairs them by position.
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
        # The fused step wants its counter where the weights are, too.
        state[key] = value.to(parameter.device)
