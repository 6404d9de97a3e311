"""All that a run holds row by row, and a run folder written anew around other rows."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, final

import torch
from torch import Tensor

from glo.imaging.previews import draw_codes
from glo.priors import GaussianPrior, Prior, save_labels
from glo.runs.checkpoint import restore_training, save_checkpoint
from glo.runs.data_record import DataRecord
from glo.runs.reconstruction_errors import write_errors
from glo.runs.run import Run
from glo.runs.summary import error_figures
from glo.training.diagnosis import Baselines
from glo.training.factory import prior_name
from glo.training.state import TrainState
from glo.utils.json_toml import write_json
from glo.workflows.fit_priors import fit_labels, fit_priors

__all__ = ["Progress", "RowData", "renew"]

# Called with the name of a part of the work, its units done, and all its units.
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RowData:
    """What a run holds row by row: row i of each belongs to example i.

    Attributes:
        training: codes with their moments and counts, and the sums that follow some of them; and
            the decoder, which no row has for its own.
        errors: float32 (N,), or None where the run was made before they were kept.
        labels: int64 (N,), -1 where there is none; or None: the run keeps no labels of rows.
        names: of the labels 0, 1, ..., or none.
    """

    training: TrainState
    errors: Tensor | None
    labels: Tensor | None
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: Run) -> Self:
        """Read what a finished run holds."""
        # The device is that of the training, which may have been another machine's.
        training = restore_training(
            run.checkpoint, replace(run.settings, device="cpu"), custom=run.decoder_class
        )
        classifier = run.label_classifier if run.has_labels else None
        return cls(
            training=training,
            errors=run.errors,
            labels=None if classifier is None else classifier.training_labels,
            names=() if classifier is None else classifier.names,
        )

    def joined(
        self, codes: Tensor, errors: Tensor, labels: Tensor, names: tuple[str, ...]
    ) -> "RowData":
        """Return the same with rows at the end, which have never moved.

        Args:
            codes: (n, D).
            errors: (n,).
            labels: int64 (n,), -1 where there is none.
            names: of all labels, the old ones first.
        """
        self.training.append_rows(codes)
        return replace(
            self,
            errors=None if self.errors is None else torch.cat([self.errors, errors]),
            labels=None if self.labels is None else torch.cat([self.labels, labels]),
            names=names,
        )

    def subset(self, rows: Tensor) -> "RowData":
        """Return the same with some rows alone, int64 (n,), rising."""
        self.training.keep_rows(rows)
        return replace(
            self,
            errors=None if self.errors is None else self.errors[rows],
            labels=None if self.labels is None else self.labels[rows],
        )


def renew(
    run: Run,
    held: RowData,
    facts: DataRecord,
    new: Path,
    *,
    keep: bool,
    refit: bool,
    callback: Progress | None = None,
) -> None:
    """Write all of a run folder that knows its rows, around other rows.

    Args:
        run: as it was.
        held: what it holds from now on.
        facts: of its data from now on.
        new: the folder that is written.
        keep: whether pictures and priors of the rows before may stay.
        refit: whether priors are fitted to the codes; where they may not stay and are not fitted,
            there are none.
        callback: called with the progress of the fits of priors.
    """
    codes, n, settings = held.training.codes, held.training.n, run.settings
    save_checkpoint(new / "checkpoint", held.training, finished=True, facts=run.checkpoint.facts)
    if held.errors is not None:
        write_errors(new, held.errors)
    for name in ("prior", "samples"):
        if keep and (run.folder / name).is_dir():
            shutil.copytree(run.folder / name, new / name)
        else:
            (new / name).mkdir()
    priors: list[Prior] = []
    # A run that grows may come to need another prior, which it does not have.
    missing = keep and not run.has_prior(prior_name(settings, n))
    if n > 1 and (refit or missing):
        shutil.rmtree(new / "prior")
        priors = fit_priors(new / "prior", codes, settings, callback=_percent(callback))
    if n > 1:
        _write_labels(run, held, new / "prior", refit=refit or not keep)
    if run.is_images and (priors or not keep):
        draw_codes(new / "samples", run.decoder, codes, priors, settings)
    _write_words(run, held, facts, new, priors)


def _write_labels(run: Run, held: RowData, folder: Path, *, refit: bool) -> None:
    if held.labels is None:
        return
    if not refit:
        run.label_classifier.training_labels = held.labels
        save_labels(run.label_classifier, folder)
    elif bool((held.labels >= 0).any()):
        fit_labels(folder, held.training.codes, held.labels, held.names, run.settings)


def _write_words(
    run: Run, held: RowData, facts: DataRecord, new: Path, priors: list[Prior]
) -> None:
    Run(new, settings=run.settings, data=facts, preset=run.preset).write_config()
    summary = run.summary
    assert summary is not None, "the run is finished"
    summary["data"]["n"] = facts.n
    if priors:
        summary["prior"] = priors[-1].name
    elif not (new / "prior" / f"{GaussianPrior.name}.safetensors").is_file():
        summary = {k: v for k, v in summary.items() if not k.startswith("prior")}
    if held.errors is None:
        # It may be that of a row that has gone.
        summary["worst_mse"] = None
    else:
        baselines = Baselines(**summary["baselines"])
        summary |= error_figures(held.errors, baselines, images=run.is_images)
    write_json(new / "summary.json", summary)


def _percent(callback: Progress | None) -> Callable[[str, float], None] | None:
    if callback is None:
        return None
    return lambda prior, share: callback(f"fitting the {prior} prior, %", round(100 * share), 100)
