"""Checkpoints: written atomically, checksummed, the last two kept.

A checkpoint is a folder of safetensors files and a manifest with their checksums. It is written
under another name, flushed to the disk and renamed, so a power cut, a kill or a full disk leaves
the earlier checkpoints untouched. Where the newest is damaged later, the one before it is used,
with a message. There is no pickle in it.

Each process writes the rows that it owns, `rows-r-of-R.safetensors`, and the first one all other
files; a run that R processes saved can be continued by any number of processes.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.decoders import Decoder, DecoderLike, read_decoder
from glo.errors import UserError
from glo.latents.table import LatentCodes
from glo.runs.manifest import read_manifest, verify, write_manifest
from glo.runs.row_shards import read_rows, shard_name
from glo.training.factory import code_optimizer, code_row
from glo.training.loop import read_steps
from glo.training.optim import ChainedOptimizer
from glo.training.state import TrainState
from glo.utils.device import channels_last
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.files import flush
from glo.utils.row_store import IN_MEMORY, RowStore
from glo.utils.safetensors_io import map_tensor, read_header, read_tensors, write_tensors
from glo.utils.torch_defaults import with_torch_defaults

__all__ = [
    "Checkpoint",
    "checkpoint_at",
    "keep_last",
    "newest_checkpoint",
    "remove_unfinished",
    "restore_training",
    "save_checkpoint",
]

_MAX_CHECKPOINTS = 2


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk whose files agree with their checksums.

    Attributes:
        finished: whether training and refinement are over.
        facts: values that the caller saved with it, such as the seconds spent.
        ranks: R, number of processes that saved it.
        shards: S, groups of rows in the order of an epoch.
        skipped: steps skipped, in all and in a row.
        notes: a sentence for each newer, damaged checkpoint.
    """

    folder: Path
    step: int
    finished: bool
    facts: dict[str, Any]
    ranks: int
    shards: int
    skipped: tuple[int, int]
    notes: tuple[str, ...] = ()

    @with_torch_defaults
    def decoder(self, custom: DecoderLike | None = None) -> Decoder:
        """Read the decoder to use, in evaluation mode; `custom` is a custom decoder's class."""
        name = "averaged" if (self.folder / "averaged.safetensors").exists() else "decoder"
        return channels_last(read_decoder(self.folder / f"{name}.safetensors", custom)).eval()

    @with_torch_defaults
    def codes(self) -> Tensor:
        """Read the codes, float32 (N, D); memory-mapped where one process saved them."""
        path = self.folder / shard_name("rows", 0, self.ranks)
        header = read_header(path)
        dtype, shape = header.tensors.get("codes", (None, ()))
        if dtype != torch.float32 or len(shape) != 2:
            raise UserError(f"{path} has no codes, float32 (N, D); it was edited.")
        if self.ranks == 1:
            return map_tensor(header, "codes")
        example = {"codes": torch.empty(1, shape[1])}
        return read_rows(self.folder, self.ranks, example, partial=True)["codes"]


def save_checkpoint(
    root: Path,
    training: TrainState,
    *,
    finished: bool,
    facts: dict[str, Any],
    best: int | None = None,
) -> Path:
    """Write a checkpoint, remove all but the last two and that of step `best`, return its path.

    With several processes all call it at the same step, and all write to one folder. After an
    OSError earlier checkpoints are unchanged.
    """
    read_steps(training)
    ranks = training.ranks
    target = root / ("final" if finished else _step_name(training.step))
    writing = root / f".writing-{ranks.broadcast(os.getpid())}"
    try:
        with ranks.sharing_errors():
            if ranks.is_main:
                remove_unfinished(root)
                root.mkdir(parents=True, exist_ok=True)
                flush(root.parent)
                writing.mkdir()
        with ranks.sharing_errors():
            files = _write_files(writing, training)
        parts = ranks.all_gather_object(files)
        with ranks.sharing_errors():
            if ranks.is_main:
                manifest = {
                    "step": training.step,
                    "finished": finished,
                    "ranks": ranks.size,
                    "shards": training.shards,
                    "skipped": [training.skipped, training.skipped_in_a_row],
                    "facts": facts,
                    "files": {name: about for part in parts for name, about in part.items()},
                }
                write_manifest(writing, manifest)
                flush(writing)
                _replace_folder(target, writing)
    finally:
        if ranks.is_main:
            _remove(writing)
    if ranks.is_main:
        # Newer ones are damaged: the run was continued from an earlier one.
        for damaged in _newest_first(root):
            if damaged == target:
                break
            _remove(damaged)
        keep_last(root, target, best=best)
    return target


def _write_files(folder: Path, training: TrainState) -> dict[str, dict[str, Any]]:
    """Write the files of this process; return their entries in the manifest."""
    entries = {}
    for name, tensors, metadata in _state_files(training):
        digest = write_tensors(folder / name, tensors, metadata, training.store.release)
        entries[name] = {"sha256": digest, "bytes": (folder / name).stat().st_size}
    return entries


def _state_files(training: TrainState) -> Iterator[tuple[str, dict[str, Tensor], dict[str, str]]]:
    """Yield name, tensors and metadata of each file of this process."""
    config = {"config": json.dumps(training.decoder.config)}
    rank, size = training.ranks.rank, training.ranks.size
    if training.ranks.is_main:
        yield "decoder.safetensors", training.decoder.state_dict(), config
        if training.averaged is not None:
            yield "averaged.safetensors", training.final_decoder.state_dict(), config
        yield "optimizer.safetensors", _optimizer_tensors(training.optimizer), {}
    rows = {"codes": training.codes, **training.code_optimizer.row_state()}
    yield shard_name("rows", rank, size), rows, {"rank": str(rank), "ranks": str(size)}
    yield shard_name("statistics", rank, size), training.statistics.tensors(), {}


def _optimizer_tensors(optimizer: ChainedOptimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": value
        for index, state in enumerate(optimizer.state.values())
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint, or None where there are none."""
    faults: list[str] = []
    for folder in _newest_first(root):
        fault = verify(folder)
        if fault is None:
            notes = tuple(f"{fault}; the checkpoint before it is used." for fault in faults)
            return _read_checkpoint(folder, notes)
        faults.append(f"{folder} is damaged: {fault}")
    if faults:
        raise UserError(
            f"{'; '.join(faults)}; no whole checkpoint is left, so train again into another folder."
        )
    return None


def checkpoint_at(root: Path, step: int) -> Checkpoint:
    """Return the checkpoint of a step of training; UserError if it is missing or damaged."""
    folder = root / _step_name(step)
    fault = verify(folder) if folder.is_dir() else "it is missing"
    if fault is not None:
        raise UserError(
            f"{folder}, the best checkpoint, is damaged: {fault}; train again into another folder."
        )
    return _read_checkpoint(folder)


def _read_checkpoint(folder: Path, notes: tuple[str, ...] = ()) -> Checkpoint:
    manifest = read_manifest(folder)
    return Checkpoint(
        folder=folder,
        step=manifest["step"],
        finished=manifest["finished"],
        facts=manifest["facts"],
        ranks=manifest["ranks"],
        shards=manifest["shards"],
        skipped=tuple(manifest["skipped"]),
        notes=notes,
    )


def restore_training(
    checkpoint: Checkpoint,
    settings: Settings,
    *,
    n: int | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
    store: RowStore = IN_MEMORY,
    custom: DecoderLike | None = None,
) -> TrainState:
    """Rebuild the state of a run from a checkpoint; training continues bit for bit.

    `n` is the number of rows of all processes; None with one process: rows of the checkpoint.
    """
    folder = checkpoint.folder
    # The shapes follow from the settings: an edited file cannot claim memory.
    state = read_rows(folder, checkpoint.ranks, code_row(settings), ranks=ranks, store=store)
    latents = LatentCodes.from_storage(state.pop("codes"), settings.constraint)
    training = TrainState(
        settings,
        read_decoder(folder / "decoder.safetensors", custom),
        latents,
        optimizer=code_optimizer(settings, latents, store, state=state),
        n=n,
        ranks=ranks,
        shards=checkpoint.shards,
        store=store,
    )
    training.step = checkpoint.step
    training.skipped, training.skipped_in_a_row = checkpoint.skipped
    try:
        _load_state(training, checkpoint)
    except UserError:
        raise
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"The files of {folder} do not fit each other ({error}).") from None
    return training


def _load_state(training: TrainState, checkpoint: Checkpoint) -> None:
    folder, ranks = checkpoint.folder, checkpoint.ranks
    if training.averaged is not None:
        decoder = training.final_decoder
        tensors = read_tensors(folder / "averaged.safetensors", decoder.state_dict())
        decoder.load_state_dict(tensors)
        training.averaged.n_averaged.fill_(training.step - training.skipped)
    _load_optimizer(training.optimizer, read_tensors(folder / "optimizer.safetensors"))
    paths = [folder / shard_name("statistics", rank, ranks) for rank in range(ranks)]
    training.statistics.restore([read_tensors(path) for path in paths])


def _load_optimizer(optimizer: ChainedOptimizer, tensors: dict[str, Tensor]) -> None:
    states = list(optimizer.state.items())
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        parameter, state = states[int(index)]
        # Moments must lie in memory as their weights do: the fused step pairs them by position.
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
        # The fused step needs its counter on the device of the weights, too.
        state[key] = value.to(parameter.device)


def remove_unfinished(root: Path) -> None:
    """Remove what killed processes left half written or half removed; the caller has the lock."""
    for folder in root.glob(".writing-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in root.glob(".removing-*"):
        if not _newest_first(root) and verify(folder) is None:
            # The only checkpoint, killed before its replacement got its name.
            folder.rename(root / folder.name.split("-", 2)[2])
        else:
            shutil.rmtree(folder, ignore_errors=True)


def keep_last(root: Path, newest: Path, *, best: int | None = None) -> None:
    """Remove all checkpoints but the newest whole one, the one before it, and step `best`."""
    folders = _newest_first(root)
    for folder in folders[folders.index(newest) + _MAX_CHECKPOINTS :]:
        if best is None or folder.name != _step_name(best):
            _remove(folder)


def _step_name(step: int) -> str:
    return f"step-{step:012d}"


def _newest_first(root: Path) -> list[Path]:
    steps = sorted(root.glob("step-*"), reverse=True)
    return [path for path in (root / "final", *steps) if path.is_dir()]


def _replace_folder(target: Path, new: Path) -> None:
    # A folder cannot be replaced in one step; see `remove_unfinished` for a kill in between.
    old = _set_aside(target)
    new.rename(target)
    flush(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _remove(folder: Path) -> None:
    # Renamed first: an interrupted removal must not leave half a checkpoint under its name.
    aside = _set_aside(folder)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _set_aside(folder: Path) -> Path | None:
    if not folder.exists():
        return None
    return folder.rename(folder.with_name(f".removing-{os.getpid()}-{folder.name}"))
