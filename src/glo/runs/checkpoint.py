"""Checkpoints that are whole or not there at all.

A checkpoint is a folder of safetensors files and a manifest with their checksums. It is written
under another name, flushed to the disk and renamed, so a power cut, a kill or a full disk leaves
the one before it untouched. The last two are kept: when the newest was damaged later, the other is
used, and a sentence says so. There is no pickle in it.

Each process writes the rows that it owns, `rows-r-of-R.safetensors`, and the first one all else; a
run that R processes saved goes on with any number of them.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.decoders import Decoder, read_decoder
from glo.errors import UserError
from glo.latents.table import LatentCodes
from glo.runs.manifest import fault_of, read_manifest, write_manifest
from glo.runs.row_shards import read_rows, rows_name
from glo.runs.state_io import contents, restore
from glo.training.factory import code_optimizer, code_row
from glo.training.state import TrainState
from glo.utils.device import channels_last
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.files import flush
from glo.utils.row_store import IN_MEMORY, RowStore
from glo.utils.safetensors_io import map_tensor, read_header, write_tensors

__all__ = [
    "Checkpoint",
    "clear_litter",
    "keep_last",
    "newest_checkpoint",
    "restore_training",
    "save_checkpoint",
]

_KEPT = 2


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk whose files were compared with their checksums.

    Attributes:
        folder: where it is.
        step: updates made.
        finished: whether training and polishing were over.
        facts: what the caller saved with it, such as the seconds spent.
        ranks: R, how many processes saved it.
        shards: how the rows are dealt in the order of an epoch.
        skipped: steps that were left out, in all and just before.
        notes: a sentence for each newer checkpoint that was damaged and passed over.
    """

    folder: Path
    step: int
    finished: bool
    facts: dict[str, Any]
    ranks: int = 1
    shards: int = 1
    skipped: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()

    def decoder(self, own: type[Decoder] | None = None) -> Decoder:
        """Return the decoder to use, in evaluation mode; `own` is its class if not of `glo`."""
        name = "averaged" if (self.folder / "averaged.safetensors").exists() else "decoder"
        return channels_last(read_decoder(self.folder / f"{name}.safetensors", own)).eval()

    def codes(self) -> Tensor:
        """Return the codes, (N, D), without their optimiser's state.

        Those that one process saved stay in their file, and what is used of them is read then.
        """
        name = self.folder / rows_name("rows", 0, self.ranks)
        header = read_header(name)
        about = header.tensors.get("codes")
        if about is None or len(about[1]) != 2 or about[0] != torch.float32:
            raise UserError(f"{name} holds no codes, (N, D) in float32; it was edited.")
        if self.ranks == 1:
            return map_tensor(header, "codes")
        wanted = {"codes": torch.empty(1, about[1][1])}
        return read_rows(self.folder, self.ranks, wanted, more=True)["codes"]


def save_checkpoint(
    root: Path, training: TrainState, *, finished: bool, facts: dict[str, Any]
) -> Path:
    """Write a checkpoint of `training` and remove all but the last two.

    With several processes all call it at the same step, and all write to one folder.

    Args:
        root: the folder of checkpoints, `checkpoint/` in a run.
        training: what to save.
        finished: whether training and polishing are over.
        facts: anything JSON-able to keep with it.

    Returns:
        its folder.

    Raises:
        OSError: it could not be written; earlier checkpoints are as they were.
    """
    ranks = training.ranks
    target = root / ("final" if finished else f"step-{training.step:012d}")
    writing = root / f".writing-{ranks.tell(os.getpid())}"
    failed: OSError | None = None
    if ranks.main:
        failed = _begin(root, writing)
    ranks.agree(failed)
    try:
        files = _write_own(writing, training)
        told = ranks.exchange(files if isinstance(files, dict) else None)
        ranks.agree(None if isinstance(files, dict) else files)
        if ranks.main:
            manifest = {
                "step": training.step,
                "finished": finished,
                "ranks": ranks.size,
                "shards": training.shards,
                "skipped": [training.skipped, training.skipped_in_a_row],
                "facts": facts,
                "files": {name: about for each in told for name, about in each.items()},
            }
            failed = _seal_and_name(root, writing, target, manifest)
    finally:
        if ranks.main:
            _remove(writing)
    ranks.agree(failed)
    if ranks.main:
        # Those that come first are damaged: the run went on from one before them.
        for passed_over in _newest_first(root):
            if passed_over == target:
                break
            _remove(passed_over)
        keep_last(root, target)
    return target


def clear_litter(root: Path) -> None:
    """Remove what killed processes left half written or half removed, which would fill the disk.

    Args:
        root: the folder of checkpoints; the caller is the one who may write to it.
    """
    for litter in root.glob(".writing-*"):
        shutil.rmtree(litter, ignore_errors=True)
    for litter in root.glob(".removing-*"):
        if not _newest_first(root) and fault_of(litter) is None:
            # The only one, whose place another was about to take.
            litter.rename(root / litter.name.split("-", 2)[2])
        else:
            shutil.rmtree(litter, ignore_errors=True)


def keep_last(root: Path, newest: Path) -> None:
    """Remove all checkpoints but the newest whole one and the one before it.

    Args:
        root: the folder of checkpoints; the caller is the one who may write to it.
        newest: folder of the newest whole one.
    """
    folders = _newest_first(root)
    for old in folders[folders.index(newest) + _KEPT :]:
        _remove(old)


def _begin(root: Path, writing: Path) -> OSError | None:
    clear_litter(root)
    try:
        if not root.exists():
            root.mkdir(parents=True)
            flush(root.parent)
        writing.mkdir()
    except OSError as error:
        return error
    return None


def _write_own(writing: Path, training: TrainState) -> dict[str, dict[str, Any]] | OSError:
    """Write the files of this process and return what the manifest says of them."""
    written = {}
    try:
        for name, tensors, metadata in contents(training):
            path = writing / name
            digest = write_tensors(path, tensors, metadata, training.store.relax)
            written[name] = {"sha256": digest, "bytes": path.stat().st_size}
    except OSError as error:
        return error
    return written


def _seal_and_name(
    root: Path, writing: Path, target: Path, manifest: dict[str, Any]
) -> OSError | None:
    try:
        write_manifest(writing, manifest)
        flush(writing)
        # A folder cannot be replaced in one step; see `clear_litter` for a kill in between.
        before = _set_aside(target)
        writing.rename(target)
        flush(root)
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        return error
    return None


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or None when there never was one.

    Raises:
        UserError: there are checkpoints, and every one is damaged.
    """
    notes: list[str] = []
    for folder in _newest_first(root):
        fault = fault_of(folder)
        if fault is None:
            manifest = read_manifest(folder)
            return Checkpoint(
                folder=folder,
                step=manifest["step"],
                finished=manifest["finished"],
                facts=manifest["facts"],
                # Of one process in a run that was made before there could be more.
                ranks=manifest.get("ranks", 1),
                shards=manifest.get("shards", 1),
                skipped=tuple(manifest.get("skipped", (0, 0))),
                notes=tuple(f"{note}; the checkpoint before it is used." for note in notes),
            )
        notes.append(f"{folder} is damaged: {fault}")
    if notes:
        raise UserError(
            f"{'; '.join(notes)}; no whole checkpoint is left, so train again into another folder."
        )
    return None


def restore_training(
    checkpoint: Checkpoint,
    settings: Settings,
    *,
    n: int | None = None,
    ranks: ProcessGroup = SINGLE_PROCESS,
    store: RowStore = IN_MEMORY,
    custom: type[Decoder] | None = None,
) -> TrainState:
    """Rebuild the training that a checkpoint holds; it goes on bit for bit as it would have.

    Args:
        checkpoint: whole, as `newest_checkpoint` gives it.
        settings: those it was made with, which the run folder keeps beside it.
        n: N, rows of all processes; those of the checkpoint when omitted and there is one process.
        ranks: the processes that go on, of which each takes its own rows.
        store: where codes and moments are put.
        custom: custom decoder; None: a decoder of this package.
    """
    folder = checkpoint.folder
    # What is wanted is what these settings make: anything else was edited, and takes no memory.
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
    restore(training, folder, checkpoint.ranks)
    return training


def _newest_first(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    steps = sorted((p for p in root.iterdir() if p.name.startswith("step-")), reverse=True)
    return [p for p in [root / "final"] if p.is_dir()] + [p for p in steps if p.is_dir()]


def _remove(folder: Path) -> None:
    # Renamed first: a removal that is cut off must not leave half a checkpoint under its name.
    aside = _set_aside(folder)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _set_aside(folder: Path) -> Path | None:
    if not folder.exists():
        return None
    return folder.rename(folder.with_name(f".removing-{os.getpid()}-{folder.name}"))
