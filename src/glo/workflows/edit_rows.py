"""Rows added to a finished run, and rows removed from it.

A run stores one row per example: its code, optimizer state, error and label. Priors and pictures,
which are made from all rows, are made again. The change is one transaction: the run is unchanged,
or changed completely.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.data.labels import UNLABELED, match_labels
from glo.data.storage import IDS_FILE
from glo.decoders import DecoderLike
from glo.errors import UserError, listed, suggest
from glo.imaging.previews import draw_progress
from glo.latents.table import LatentCodes
from glo.priors import GaussianPrior
from glo.runs.code_map import CODE_MAP_FILE
from glo.runs.reading_record import READING_FILE
from glo.runs.reconstruction_errors import CALIBRATION_FILE
from glo.runs.row_ids import RowIds
from glo.runs.run import ENCODER_FILE, Run, open_run
from glo.runs.training_data import check_shape, source_place
from glo.runs.transaction import commit, staged
from glo.training.callbacks import Message
from glo.training.evaluation import recompute_batchnorm_stats, squared_errors
from glo.training.loop import train
from glo.training.state import TrainState
from glo.utils.lock import RunLock
from glo.utils.row_ranges import check_row, rows_text
from glo.utils.torch_defaults import with_torch_defaults
from glo.workflows.encode import encode_dataset, prepare_search
from glo.workflows.row_data import Progress, RowData, write_rows

__all__ = ["add_rows", "forget_rows"]

_ERRORS = "errors.safetensors"
# Files and folders of pictures that were made from the earlier rows.
_STALE_FILES = ("evaluation.json", "report.html", CALIBRATION_FILE, CODE_MAP_FILE)
_PICTURE_FOLDERS = ("samples", "walks")
_RUN_FILES = {
    "checkpoint", "config.toml", ENCODER_FILE, _ERRORS, IDS_FILE, READING_FILE, "estimator.json",
    "lock", "metrics.jsonl", "prior", "summary.json", *_PICTURE_FOLDERS, *_STALE_FILES,
}  # fmt: skip
# Ratio of the mean errors of added and earlier examples from which a warning is given.
_UNLIKE_RATIO = 4.0


@with_torch_defaults
def add_rows(
    folder: Path,
    dataset: Dataset,
    *,
    source: str,
    split: str = "",
    limit: int = 0,
    refit: bool = True,
    names: Sequence[str] = (),
    epochs: int = 0,
    device: str = "auto",
    decoder: DecoderLike | None = None,
    callback: Progress | None = None,
) -> list[Message]:
    """Add examples to a finished run; their codes are found by inversion of its decoder.

    The codes of earlier rows keep every bit. With `epochs` the decoder is trained on the added
    examples, so the recorded errors of earlier rows no longer hold and are removed. After an error,
    also one of the callback, the run is unchanged.

    Args:
        source: source of the data as the user named it.
        limit: number of its first examples; 0 for all.
        refit: whether the Gaussian, the default prior and the labels are fitted again.
        names: (n,), longer identities for rows whose own ones the run has already; with neither
            these nor identities in `dataset` the numbers of the rows are continued.
        epochs: passes over the added examples that train the decoder and their codes, at the peak
            learning rates; 0: the decoder keeps every bit.
        callback: called with the name of a part of the work, its units done and all its units.

    Returns:
        messages on the change.
    """
    with _locked_run(folder, decoder) as run, staged(folder) as new:
        check_shape(run.folder, run.data, dataset, "The added examples")
        initial = prepare_search(run, device=device)
        batches = encode_dataset(run, dataset, initial, callback=callback)
        codes = torch.cat([batch.inversion.codes for batch in batches])
        standardized, rows = run.standardize(dataset), RowData.read(run)
        if epochs:
            codes = _train(run, rows.training, standardized, codes, epochs, device)
            rows = replace(rows, errors=None)
        errors = squared_errors(run.decoder, codes, standardized, run.settings)
        place = {"source": source, "name": dataset.name, "fingerprint": dataset.fingerprint}
        place |= source_place(source, run.folder)
        record = run.data.added(len(dataset), split=split, limit=limit, **place)
        labels, label_names = _merged_labels(rows, dataset)
        messages = [_added(run, errors), *_classes(rows, dataset, labels, label_names)]
        ids = _added_ids(run, dataset, names)
        rows = rows.joined(codes, errors, labels, label_names, ids)
        write_rows(run, rows, record, new, keep=True, refit=refit, callback=callback)
        if run.is_images:
            draw_progress(new / "samples", "added", run.decoder, codes, standardized, run.settings)
        messages += _deleted_priors(run, refit=True) if refit else ()
        if epochs:
            text = f"The decoder was trained on the added rows; the {run.data.n:,} earlier codes"
            messages.append(Message(text=f"{text} are unchanged, and their errors were removed."))
        # The encoder is of the earlier decoder.
        commit(folder, gone=(*_STALE_FILES, ENCODER_FILE) if epochs else _STALE_FILES)
    return messages


def _train(
    run: Run, state: TrainState, samples: Dataset, codes: Tensor, epochs: int, device: str
) -> Tensor:
    """Train the decoder of `run` and `state` on examples, and return their trained codes."""
    settings = replace(run.settings, epochs=epochs, device=device, schedule="constant")
    settings = replace(settings, warmup=0.0, ema_decay=0.0, shards=None)
    latents = LatentCodes(codes, constraint=run.settings.constraint)
    part = TrainState(settings, run.decoder, latents)
    for _ in train(part, samples):
        pass
    recompute_batchnorm_stats(part.decoder, torch.cat([state.codes, part.codes]), settings)
    weights = part.decoder.state_dict()
    state.decoder.load_state_dict(weights)
    state.final_decoder.load_state_dict(weights)
    return part.codes


@with_torch_defaults
def forget_rows(
    folder: Path,
    rows: Tensor,
    *,
    fingerprint: str | None = None,
    refit: bool = True,
    decoder: DecoderLike | None = None,
    callback: Progress | None = None,
) -> list[Message]:
    """Remove examples from a finished run: codes, optimizer state, errors, labels and pictures.

    Later rows move up: row numbers are those of the remaining examples. No prior is kept that was
    fitted to the removed codes. After an error the run is unchanged.

    Args:
        rows: int64 (m,), numbers of the rows to remove.
        fingerprint: fingerprint in the data record that the numbers refer to; None: the present.
        refit: whether the Gaussian and the default prior are fitted to the remaining codes;
            otherwise the run has no prior until one is fitted.
        callback: as for `add_rows`.

    Returns:
        messages on the change.
    """
    with _locked_run(folder, decoder) as run, staged(folder) as new:
        if fingerprint not in (None, run.data.fingerprint):
            raise UserError(f"The rows of {folder} have changed meanwhile; give ROWS again.")
        remaining = _remaining(run, rows)
        removed = rows_text(_complement(remaining, run.data.n))
        record = run.data.forgotten(run.data.n - len(remaining), removed)
        row_data = RowData.read(run).subset(remaining)
        write_rows(run, row_data, record, new, keep=False, refit=refit, callback=callback)
        messages = list(_removed(run, _complement(remaining, run.data.n).tolist(), refit=refit))
        for name in _PICTURE_FOLDERS:
            if (folder / name).is_dir():
                # An empty folder replaces the old one.
                (new / name).mkdir(exist_ok=True)
        gone = _STALE_FILES if row_data.errors is not None else (*_STALE_FILES, _ERRORS)
        gone = gone if (new / ENCODER_FILE).is_file() else (*gone, ENCODER_FILE)
        commit(folder, gone=gone)
    return messages


@contextmanager
def _locked_run(folder: Path, decoder: DecoderLike | None) -> Iterator[Run]:
    # Raises for a folder that is not a run before a lock file is created there.
    open_run(folder)
    lock = RunLock(folder)
    try:
        run = open_run(folder, decoder=decoder)
        if not run.checkpoint.finished or run.summary is None:
            raise UserError(
                f"{folder} is not finished, so its rows cannot be changed yet; run the command "
                f"that began it again."
            )
        yield run
    finally:
        lock.release()


def _merged_labels(rows: RowData, dataset: Dataset) -> tuple[Tensor, tuple[str, ...]]:
    """Return the labels of added examples in the numbers of the run, and the names of all."""
    unlabeled = torch.full((len(dataset),), UNLABELED, dtype=torch.int64)
    if rows.labels is None or dataset.labels is None:
        return unlabeled, rows.names
    numbers, names = match_labels(np.asarray(dataset.labels), dataset.label_names, rows.names)
    return torch.from_numpy(numbers), names


def _classes(
    rows: RowData, dataset: Dataset, labels: Tensor, names: tuple[str, ...]
) -> Iterator[Message]:
    if rows.labels is None:
        if dataset.labels is not None and bool((dataset.labels >= 0).any()):
            yield Message(
                text="The labels of the added examples are not used, because the run was trained "
                "without labels; train again on examples with labels to sample by label."
            )
        return
    numbers, counts = labels.unique(return_counts=True)
    count = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    unlabeled = count.pop(UNLABELED, 0)
    if count:
        yield Message(text=f"Classes: {listed([f'{c:,} {names[k]}' for k, c in count.items()])}.")
    new = [names[number] for number in count if number >= len(rows.names)]
    if new:
        near = next(filter(None, (suggest(name, rows.names) for name in new)), "")
        text = f"New classes: {listed(new)}; the run had {listed(rows.names)}.{near}"
        yield Message(text=text)
    if unlabeled:
        yield Message(
            text=f"{unlabeled:,} added without a label; images get that of a class folder if the "
            f"folder, or the one that holds it, is given: {listed(rows.names)}."
        )


def _added_ids(run: Run, dataset: Dataset, names: Sequence[str]) -> RowIds:
    n, first = len(dataset), run.data.n_ever
    if dataset.ids is None and not names:
        return RowIds(np.arange(first, first + n), n)
    return RowIds(dataset.ids, n).named(dataset.name).without(run.row_ids, names)


def _remaining(run: Run, rows: Tensor) -> Tensor:
    n = run.data.n
    if not len(rows):
        raise UserError("No row was named; give at least one, such as 3,17,40-49.")
    for row in (int(rows.min()), int(rows.max())):
        check_row(row, n)
    remaining = _complement(rows, n)
    if not len(remaining):
        raise UserError(
            f"These are all {n:,} rows of {run.folder}, and without them nothing is left; delete "
            f"the folder instead."
        )
    return remaining


def _complement(rows: Tensor, n: int) -> Tensor:
    mask = torch.ones(n, dtype=torch.bool)
    mask[rows.long()] = False
    return mask.nonzero().flatten()


def _added(run: Run, errors: Tensor) -> Message:
    n, mse, earlier_mse = run.data.n, float(errors.double().mean()), (run.summary or {})["mse"]
    text = (
        f"Added {len(errors):,} rows, {n:,} to {n + len(errors) - 1:,}: mse {mse:.4f}, where the "
        f"earlier rows have {earlier_mse:.4f}."
    )
    if mse <= _UNLIKE_RATIO * earlier_mse:
        return Message(text=text)
    advice = " The decoder cannot reproduce such examples; train again with them."
    return Message(text=text + advice, warning=True)


def _removed(run: Run, rows: list[int], *, refit: bool) -> Iterator[Message]:
    folders = [run.folder / name for name in _PICTURE_FOLDERS]
    count = sum(path.is_file() for folder in folders for path in folder.rglob("*"))
    removed = run.row_ids.describe(rows)
    if len(rows) > 1:
        removed = f"{len(rows):,} rows: {removed.removeprefix('rows ')}"
    text = f"Removed {removed}; the remaining {run.data.n - len(rows):,} are renumbered."
    if count:
        places = " and ".join(str(folder) for folder in folders if folder.is_dir())
        text += f" Deleted {count} pictures of rows, samples and walks in {places}."
    yield Message(text=text)
    yield from _deleted_priors(run, refit=refit)
    names = sorted(path.name for path in run.folder.iterdir())
    unknown = [name for name in names if name not in _RUN_FILES and not name.startswith(".")]
    if unknown:
        text = f"Files that are not of the run are unchanged: {', '.join(unknown)}; check whether "
        yield Message(text=text + "they show removed examples.", warning=True)
    yield Message(
        text="The weights of the decoder are unchanged: they were trained with the removed "
        "examples and may contain traces of them; only training again without them removes these."
    )


def _deleted_priors(run: Run, *, refit: bool) -> Iterator[Message]:
    refitted = {GaussianPrior.name, run.prior_name} if refit else set()
    deleted = sorted(set(run.fitted_priors) - refitted)
    if deleted:
        text = f"Deleted priors of the earlier rows ({', '.join(deleted)}); fit one again with "
        yield Message(text=text + "glo sample --prior NAME.")
