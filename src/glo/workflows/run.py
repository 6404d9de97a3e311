"""`Run`, the object that people hold: a run folder with the tasks on it.

The tasks are those of this folder, with the settings of the run; a search decodes the codes of the
run once and keeps them.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final, get_args

import numpy as np
import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders import DecoderLike
from glo.errors import UserError, suggest
from glo.imaging.grids import data_uri, grid, shows_pixels
from glo.inversion import InitialCodes, Operator
from glo.runs.run import Run as RunFolder
from glo.utils.row_ranges import evenly_spaced
from glo.utils.torch_defaults import with_torch_defaults
from glo.workflows.anomaly import AnomalyModel, fit_anomaly_model
from glo.workflows.encode import (
    EncodedBatch,
    SearchKind,
    encode_dataset,
    encoder_codes,
    prepare_search,
)
from glo.workflows.evaluate import evaluate
from glo.workflows.evaluation_plan import prepare
from glo.workflows.impute import impute
from glo.workflows.inputs import open_examples
from glo.workflows.restore import Degradation, restore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlotKind", "Run", "open_run"]

PlotKind = Literal["codes", "samples", "training"]

_PLOTTED_SAMPLES = 64
_THUMBNAILS = 8
# Pixels; wider strips are reduced.
_STRIP_WIDTH = 640


@final
class Run(RunFolder):
    """A trained run: a folder that encodes, decodes, samples, restores and measures.

    `glo.open_run` opens one, and `glo.train` returns one; the data are needed by `evaluate` and
    `open_data` only. A notebook shows what it was trained on, its error and a strip of samples.
    In the examples of the methods `run` is a run of 40 images of 8 x 8 pixels.

    **Examples.** Methods return float tensors (n, *shape): images (C, H, W) in [-1, 1], vectors
    (F,) in the units of the data. They take the same, NaN where a value is missing, and everything
    that `glo.open_source` opens, which is read like the training data: files, arrays in the range
    of the training data, data frames, `glo.Dataset`. Pixels are rounded to 8 bits.

    **Codes** are float32 tensors (n, D). Errors are means over the known values of an example, of
    pixels in [-1, 1] or, in vectors, of standard deviations of the columns.

    Attributes:
        folder: path of the folder.
        settings: settings of the training.
        data: record of the training data.
        preset: name of the preset of the settings.
        device: name of the device of searches: auto, cpu, cuda or mps.

    Example:
        >>> run
        Run('.../run', n=40, shape=(1, 8, 8), code_dim=2, mse=...)
    """

    device = "auto"

    @cached_property
    def initial_codes(self) -> InitialCodes:
        """Training codes, decoded: the initial codes of searches."""
        return prepare_search(self, device=self.device)

    @cached_property
    def anomaly_model(self) -> AnomalyModel:
        """Anomaly scores of codes and residuals, calibrated on ordinary examples."""
        return fit_anomaly_model(self)

    def encode(self, examples: Any, *, search: SearchKind = "refine") -> Tensor:
        """Find the codes of examples.

        Args:
            examples: n examples, see above: a tensor, file, folder, array, table or `Dataset`.
            search: "refine", a short search that begins at the code of the encoder; "encoder", one
                pass of it; "full", a search without it. Every search of a run without an encoder is
                full.

        Returns:
            float32 (n, D).

        Raises:
            UserError: the examples have another shape or range, nothing of one is known, the run is
                not finished, or search is "encoder" and there is none.

        Example:
            >>> run.encode(run.sample(3, seed=1)).shape
            torch.Size([3, 2])
        """
        dataset = open_examples(self, examples)
        if search == "encoder":
            return encoder_codes(self, dataset)
        return torch.cat([batch.inversion.codes for batch in self.search(dataset, search=search)])

    def search(self, examples: Any, *, search: SearchKind = "refine") -> Iterator[EncodedBatch]:
        """Find codes as `encode` does, and yield batches with their residuals and reconstructions.

        Args:
            examples: as for `encode`.
            search: as for `encode`.

        Raises:
            UserError: as for `encode`.

        Example:
            >>> [batch] = run.search(run.sample(3, seed=1))
            >>> batch.inversion.residuals.shape
            torch.Size([3])
        """
        dataset = open_examples(self, examples)
        return encode_dataset(self, dataset, self.initial_codes, search=search)

    @with_torch_defaults
    def restore(
        self,
        examples: Any,
        *,
        mask: Tensor | None = None,
        operator: Operator | None = None,
        noise: float | None = None,
        n_solutions: int | None = None,
    ) -> Tensor:
        """Fill missing values, or undo a degradation y = operator(x) + noise of images.

        Args:
            examples: n observations y, as for `encode`, of the shape that the operator leaves.
            mask: 1 where known and 0 where missing, (1, 1, H, W) or (n, 1, H, W), such as
                `glo.inversion.half_mask` makes; None: NaN and masked values are missing.
            operator: degradation of images, such as `glo.inversion.Blur`; None: none.
            noise: standard deviation of the noise of images, where black is -1 and white is 1;
                None: half of the spread of the training examples.
            n_solutions: number of solutions, whose mean is returned; None: 8 for images, 1 for
                vectors.

        Returns:
            (n, *shape), as for `sample`; known values are kept, up to 8 bits of a pixel, where
            values are missing.

        Raises:
            UserError: as for `encode`, nothing is missing and no degradation is given, or vectors
                come with mask, operator or noise.

        Example:
            >>> from glo.inversion import half_mask
            >>> run.restore(run.sample(3, seed=1), mask=half_mask((1, 8, 8), "left")).shape
            torch.Size([3, 1, 8, 8])
        """
        degradation = Degradation(operator=operator, mask=mask, noise=noise)
        is_plain = operator is None and mask is None and noise is None
        shape = self.data.shape if operator is None else degradation.shape(self.data.shape)
        dataset = open_examples(self, examples, shape=shape)
        rows = torch.arange(len(dataset))
        observed = dataset.observed(rows)
        if is_plain and (observed is None or bool(observed.all())):
            raise UserError(
                "Nothing is missing and no degradation is given, so there is nothing to restore; "
                "give NaN where a value is missing, or for images mask, operator or noise."
            )
        if not self.is_images:
            if not is_plain:
                raise UserError("mask, operator and noise are for images; give NaN in vectors.")
            return self._imputed(dataset, n_solutions or 1)
        if mask is None and observed is not None:
            degradation = Degradation(operator=operator, mask=observed, noise=noise)
        batches = restore(
            self, dataset, degradation, self.initial_codes, n_solutions=n_solutions or 8
        )
        return torch.cat([batch.images for batch in batches])

    def _imputed(self, dataset: Dataset, n_solutions: int) -> Tensor:
        values = torch.from_numpy(np.array(dataset.rows))
        missing = values.isnan()
        rows = missing.any(1).nonzero()[:, 0]
        found = impute(self, dataset, rows, self.initial_codes, n_solutions=n_solutions)
        values[rows] = torch.where(missing[rows], found["values"].to(values.dtype), values[rows])
        return values

    def evaluate(
        self,
        data: Any = None,
        *,
        heldout: Any = None,
        priors: Sequence[str] = (),
        features: str | None = None,
        n: int = 10_000,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Measure reconstructions and samples against held-out examples, as `glo evaluate` does.

        Args:
            data: training data, anything that `glo.open_source` takes; None: the source recorded in
                the run.
            heldout: held-out examples, likewise; None: the test split of the training data.
            priors: names of the priors to sample; none: every fitted prior of the run.
            features: digits, efficientnet, thumbnails or a file of a feature network; None: chosen
                by the data.
            n: number of training examples, of held-out examples and of samples, 6 or more.
            seed: seed of the choice of examples and of the samples.

        Returns:
            figures by name, as in `evaluation.json`; None where a figure is undefined.

        Raises:
            UserError: the run is not finished or has no such prior, or the data are not its
                training data or too few.

        Example:
            >>> run.evaluate(images, n=10)["training"]["n"]
            10
        """
        plan = prepare(
            self, data, heldout=heldout, priors=tuple(priors), features=features, n=n, seed=seed
        )
        return evaluate(plan)

    def plot(self, kind: PlotKind = "codes", *, axes: "Axes | None" = None) -> "Axes":
        """Draw the run with matplotlib.

        Args:
            kind: "codes", a scatter plot of the training codes in their first two principal
                directions, colored by label; "samples", 64 samples in a grid, or as curves for
                vectors; "training", the mean loss of each epoch.
            axes: axes to draw on; None: those of a new figure.

        Returns:
            the axes; `axes.figure.savefig(path)` saves them.

        Raises:
            UserError: another kind, or the run has no codes, samples or epochs yet.

        Example:
            >>> from matplotlib.figure import Figure
            >>> axes = run.plot("training", axes=Figure().subplots())
            >>> axes.get_xlabel()
            'epoch'
        """
        from glo.imaging import plots

        kinds = get_args(PlotKind)
        if kind not in kinds:
            near = suggest(str(kind), kinds)
            raise UserError(f"kind is {kind!r}; it must be one of {', '.join(kinds)}.{near}")
        if kind == "codes":
            return plots.plot_codes(self.codes, self.labels, self.label_names, axes)
        if kind == "samples":
            return plots.plot_samples(self.sample(_PLOTTED_SAMPLES), axes)
        if not self.loss_curve:
            raise UserError(f"{self.folder} has no epoch in metrics.jsonl; train for an epoch.")
        return plots.plot_losses(self.loss_curve, axes)

    def _repr_html_(self) -> str:
        """Describe the run for a notebook: data, error, settings, and a strip of images."""
        kind = "image" if self.is_images else "vector"
        size = " x ".join(map(str, self.data.shape))
        classes = f", {len(self.label_names)} classes" if self.label_names else ""
        settings = self.settings
        lines = {
            "data": f"{self.data.name}: {self.data.n:,} {kind}s of {size}{classes}",
            "error": self._error_line(),
            "settings": f"code_dim {settings.code_dim}, width {settings.width}, loss "
            f"{settings.loss}, {settings.epochs_for(self.data.n)} epochs, prior {self.prior_name}",
        }
        rows = "".join(
            f'<tr><th style="text-align:left">{name}</th>'
            f'<td style="text-align:left">{escape(text)}</td></tr>'
            for name, text in lines.items()
        )
        folder = escape(str(self.folder))
        return f"<div><b>Run</b> <code>{folder}</code><table>{rows}</table>{self._strip()}</div>"

    def _error_line(self) -> str:
        summary = self.summary
        if summary is None:
            return "not finished; run the command that began it again"
        units = "pixels in [-1, 1]" if self.is_images else "standard deviations of the columns"
        base = summary["baselines"]
        return (
            f"mse {summary['mse']:.4f} ({units}); mean {base['mean_image']:.4f}, "
            f"PCA {base['pca']:.4f}; {summary['explained_variance']:.1%} of the variance"
        )

    def _strip(self) -> str:
        """Return samples as an image element, reconstructions without a prior, or ""."""
        if not self.is_images:
            return ""
        try:
            has_samples = self.has_prior(self.prior_name) and self.summary is not None
            rows = evenly_spaced(self.data.n, min(self.data.n, _THUMBNAILS))
            images = self.sample(_THUMBNAILS) if has_samples else self.reconstruct(rows)
        except UserError:
            # A run that has just begun, or one with a damaged file, is described all the same.
            return ""
        picture = grid(images, columns=len(images))
        picture.thumbnail((_STRIP_WIDTH, _STRIP_WIDTH))
        text = "samples" if has_samples else "reconstructions"
        rendering = "pixelated" if shows_pixels(*images.shape[2:]) else "auto"
        return (
            f'<img alt="{text}" title="{text}" src="{data_uri(picture)}" '
            f'style="max-width:100%;image-rendering:{rendering}">'
        )


def open_run(folder: str | Path, *, decoder: DecoderLike | None = None) -> Run:
    """Open a run folder, finished or not.

    Args:
        folder: path of the folder.
        decoder: class of its custom decoder; None: a decoder of this package.

    Raises:
        UserError: it is not a run folder, or its config.toml cannot be read.

    Example:
        >>> open_run("no/such/run")
        Traceback (most recent call last):
        glo.errors.UserError: no/such/run is not a run folder: it does not exist; give the folder \
that glo train named.
    """
    return Run.open(folder, decoder=decoder)
