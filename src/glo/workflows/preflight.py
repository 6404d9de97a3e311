"""Preflight checks of a training run: settings, data and folder fit, before anything is written."""

import re
import shutil
from pathlib import Path

import torch

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import DecoderLike, build_decoder
from glo.errors import UserError
from glo.runs.checkpoint import remove_unfinished
from glo.runs.run import Run, open_run
from glo.training.factory import decoder_config, training_loss
from glo.utils.device import check_compiler, find_device
from glo.utils.distributed import ProcessGroup
from glo.utils.files import clear_unfinished
from glo.utils.lock import RunLock

__all__ = ["check_folder", "check_settings", "lock_folder"]

# Settings that may differ when a run is resumed.
_NOT_COMPARED = ("checkpoint_seconds", "code_memory_gib")
# Files of a run that was killed before it had a config.toml.
_PARTIAL = re.compile(r"lock|\.\d+\.config\.toml")


def check_folder(run: Run) -> None:
    """Check that the folder of a run is new, or belongs to the same data and settings."""
    folder = run.folder
    if (folder / "config.toml").is_file():
        _check_same(open_run(folder), run)
    elif folder.is_dir() and not all(_PARTIAL.fullmatch(path.name) for path in folder.iterdir()):
        raise UserError(
            f"{folder} is not empty and is not a run; give --out a new folder, so that nothing "
            f"in it is overwritten."
        )


def check_settings(
    samples: Dataset, settings: Settings, ranks: ProcessGroup, custom: DecoderLike | None = None
) -> None:
    """Check that data, settings and number of processes fit each other."""
    if len(samples) < ranks.size:
        raise UserError(
            f"There are {len(samples)} examples for {ranks.size} processes; start at most as many "
            f"processes as there are examples."
        )
    if settings.compile and ranks.size > 1:
        raise UserError(
            f"compile is for one process, but there are {ranks.size}; leave compile out, or start "
            f"one process."
        )
    training_loss(settings)
    device = find_device(settings.device)
    if custom is not None:
        with torch.random.fork_rng(devices=[]):
            build_decoder(decoder_config(samples, settings, custom), custom)
    else:
        with torch.device("meta"):
            build_decoder(decoder_config(samples, settings))
    if settings.compile:
        check_compiler(device)


def lock_folder(folder: Path, ranks: ProcessGroup) -> RunLock | None:
    """Lock a run folder for all processes, and remove leftovers of killed ones.

    The first process gets the lock, the others None; all raise the same error.
    """
    lock = None
    with ranks.sharing_errors():
        if ranks.is_main:
            lock = RunLock(folder)
            _tidy(folder)
    return lock


def _tidy(folder: Path) -> None:
    """Remove unfinished files of killed processes."""
    remove_unfinished(folder / "checkpoint")
    for place in (folder, folder / "prior", folder / "samples"):
        clear_unfinished(place)
    for rows in folder.glob(".rows-*-of-*"):
        shutil.rmtree(rows)


def _check_same(old: Run, new: Run) -> None:
    if old.data.changes:
        raise UserError(
            f"The rows of {old.folder} were changed after training ({old.data.history}), so no "
            f"data make this run again; use it unchanged, or give --out another folder."
        )
    sources = [run.data.whole or run.data.fingerprint for run in (old, new)]
    if sources[0] != sources[1]:
        raise UserError(
            f"{old.folder} was trained on other data ({old.data.name}, {old.data.n} examples of "
            f"shape {old.data.shape}) than these ({new.data.name}, {new.data.n} of shape "
            f"{new.data.shape}); give --out another folder."
        )
    before, now = vars(old.settings), vars(new.settings)
    changed = [
        f"{name} was {before[name]} and is now {now[name]}"
        for name in before
        if before[name] != now[name] and name not in _NOT_COMPARED
    ]
    if changed:
        raise UserError(
            f"{old.folder} was started with other settings ({'; '.join(changed)}); use the same "
            f"ones to resume it, or give --out another folder."
        )
    if old.data.held_out != new.data.held_out:
        raise UserError(
            f"{old.folder} was started with other validation examples, or none; use the same ones "
            f"to resume it, or give --out another folder."
        )
