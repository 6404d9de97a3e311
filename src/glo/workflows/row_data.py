"""Per-row data of a run, and a run folder rewritten around other rows."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, final

import torch
from torch import Tensor

from glo.imaging.previews import draw_codes
from glo.priors import GaussianPrior, Prior, save_labels
from glo.runs.checkpoint import restore_training, save_checkpoint
from glo.runs.data_record import DataRecord
from glo.runs.reconstruction_errors import write_errors
from glo.runs.row_ids import RowIds
from glo.runs.run import Run
from glo.runs.summary import error_figures
from glo.training.diagnosis import Baselines
from glo.training.factory import prior_name
from glo.training.state import TrainState
from glo.utils.json_toml import write_json
from glo.workflows.fit_encoder import fit_run_encoder
from glo.workflows.fit_priors import fit_labels, fit_priors

__all__ = ["Progress", "RowData", "write_rows"]

# Called with the name of a part of the work, its units done, and all its units.
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RowData:
    """Per-row data of a run; row i of each tensor belongs to example i.

    Attributes:
        training: codes and their optimizer state, statistics, and the decoder.
        errors: float32 (N,), squared errors, or None where they are not recorded.
        labels: int64 (N,), -1 for an example without a label, or None: the data had no labels.
        names: names of the classes 0, 1, ....
        ids: identities of the rows.
    """

    training: TrainState
    errors: Tensor | None
    labels: Tensor | None
    ids: RowIds
    names: tuple[str, ...] = ()

    @classmethod
    def read(cls, run: Run) -> Self:
        """Read the rows of a finished run."""
        # The settings name the device of the training, which may be another machine's.
        training = restore_training(
            run.checkpoint, replace(run.settings, device="cpu"), custom=run.decoder_class
        )
        classifier = run.label_classifier if run.has_labels else None
        return cls(
            training=training,
            errors=run.errors,
            labels=None if classifier is None else classifier.training_labels,
            names=() if classifier is None else classifier.names,
            ids=run.row_ids,
        )

    def joined(
        self, codes: Tensor, errors: Tensor, labels: Tensor, names: tuple[str, ...], ids: RowIds
    ) -> "RowData":
        """Return the data with rows appended, which have fresh optimizer state."""
        self.training.append_rows(codes)
        return replace(
            self,
            errors=None if self.errors is None else torch.cat([self.errors, errors]),
            labels=None if self.labels is None else torch.cat([self.labels, labels]),
            names=names,
            ids=self.ids.joined(ids),
        )

    def subset(self, rows: Tensor) -> "RowData":
        """Return the data of some rows, int64 (n,), ascending."""
        self.training.keep_rows(rows)
        return replace(
            self,
            errors=None if self.errors is None else self.errors[rows],
            labels=None if self.labels is None else self.labels[rows],
            ids=self.ids.subset(rows),
        )


def write_rows(
    run: Run,
    rows: RowData,
    record: DataRecord,
    new: Path,
    *,
    keep: bool,
    refit: bool,
    callback: Progress | None = None,
) -> None:
    """Write all files of a run that depend on its rows.

    Args:
        run: the run before the change.
        rows: its rows after the change.
        record: its data record after the change.
        new: path of the folder to write to.
        keep: whether earlier pictures and priors are copied.
        refit: whether priors are fitted to the codes; with neither `keep` nor `refit` there are
            none.
    """
    codes, n, settings = rows.training.codes, rows.training.n, run.settings
    save_checkpoint(new / "checkpoint", rows.training, finished=True, facts=run.checkpoint.facts)
    if rows.errors is not None:
        write_errors(new, rows.errors)
    rows.ids.write(new)
    for name in ("prior", "samples"):
        if keep and (run.folder / name).is_dir():
            shutil.copytree(run.folder / name, new / name)
        else:
            (new / name).mkdir()
    priors: list[Prior] = []
    # The default prior depends on N, so a larger run may need another one.
    missing = keep and not run.has_prior(prior_name(settings, n))
    if n > 1 and (refit or missing):
        shutil.rmtree(new / "prior")
        priors = fit_priors(
            new / "prior",
            codes,
            settings,
            callback=lambda prior, share: _report(callback, f"{prior} prior", share),
        )
    # Without errors the decoder was trained on, and the encoder is of the earlier one.
    encoder = (run.summary or {}).get("encoder") if keep and rows.errors is not None else None
    if run.encoder is not None and n > 1 and refit and not keep:
        # The encoder saw the removed examples; the next one is fitted to decoded codes alone.
        encoder = fit_run_encoder(
            new,
            rows.training.final_decoder,
            codes,
            None,
            settings,
            priors[-1],
            callback=partial(_report, callback, "encoder"),
        )
    if n > 1 and rows.labels is not None:
        if keep and not refit:
            run.label_classifier.training_labels = rows.labels
            save_labels(run.label_classifier, new / "prior")
        else:
            fit_labels(new / "prior", codes, rows.labels, rows.names, settings)
    if run.is_images and (priors or not keep):
        draw_codes(new / "samples", run.decoder, codes, priors, settings)
    Run(new, settings=settings, data=record, preset=run.preset).write_config()
    _write_summary(run, rows, record, new, priors, encoder)


def _write_summary(
    run: Run,
    rows: RowData,
    record: DataRecord,
    new: Path,
    priors: list[Prior],
    encoder: dict[str, Any] | None,
) -> None:
    summary = run.summary
    assert summary is not None, "the run is finished"
    summary = {k: v for k, v in summary.items() if k != "encoder"}
    if encoder is not None:
        summary["encoder"] = encoder
    summary["data"]["n"] = record.n
    if priors:
        summary["prior"] = priors[-1].name
    elif not (new / "prior" / f"{GaussianPrior.name}.safetensors").is_file():
        summary = {k: v for k, v in summary.items() if not k.startswith("prior")}
    if rows.errors is None:
        # The earlier value may be the error of a removed row.
        summary["worst_mse"] = None
    else:
        baselines = Baselines(**summary["baselines"])
        summary |= error_figures(rows.errors, baselines, images=run.is_images)
    write_json(new / "summary.json", summary)


def _report(callback: Progress | None, name: str, share: float) -> None:
    if callback is not None:
        callback(f"fitting the {name}, %", round(100 * share), 100)
