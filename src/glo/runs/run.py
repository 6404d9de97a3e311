"""A run folder, which describes itself.

    config.toml         settings and data record
    reading.json        reading of the training data, by which later data are read
    ids.json            identity of each row in its source; without it the row number
    metrics.jsonl       one JSON object per logged step and per epoch
    summary.json        final errors, baselines, cost and diagnosis
    checkpoint/         weights, codes and optimizer state, checksummed
    errors.safetensors  squared error of every training example
    calibration.safetensors  residuals and codes of examples as unseen ones have them
    map.safetensors     map of the codes by t-SNE
    encoder.safetensors encoder, fitted on examples and codes
    prior/              priors and the label classifier, fitted on the codes
    samples/            pictures

A run is opened and sampled without its data.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset
from glo.data.labels import Label
from glo.data.reading import Reading
from glo.decoders import Decoder, DecoderLike, check_custom_decoder
from glo.decoders.decode import decode
from glo.encoders import Encoder, read_encoder
from glo.errors import UserError
from glo.latents.neighbours import neighbours
from glo.priors import (
    LabelClassifier,
    Prior,
    build_prior,
    load_labels,
    load_prior,
    sample_label,
    save_prior,
)
from glo.runs.checkpoint import Checkpoint, newest_checkpoint
from glo.runs.data_record import DataRecord
from glo.runs.metrics_log import read_metrics_log
from glo.runs.reading_record import read_reading
from glo.runs.reconstruction_errors import read_errors
from glo.runs.row_ids import RowIds
from glo.runs.run_folder import config_path
from glo.runs.summary import read_summary
from glo.runs.training_data import Source, open_training_data
from glo.training.factory import load_standardizer, prior_config, prior_name
from glo.utils.files import write_text
from glo.utils.json_toml import read_toml, toml_lines
from glo.utils.lock import RunLock

__all__ = ["DataRecord", "Run", "open_run"]

ENCODER_FILE = "encoder.safetensors"
# Version of the run folder's layout, written to config.toml.
FORMAT = 1


class Run:
    """A run folder, as the workflows see it; `glo.workflows.run.Run` adds these as methods.

    Attributes:
        folder: path of the folder.
        settings: settings of the training.
        data: record of the training data.
        preset: name of the preset of the settings.

    Example:
        >>> run = open_run("runs/mnist")  # doctest: +SKIP
        >>> run.sample(4, seed=1).shape  # doctest: +SKIP
        torch.Size([4, 1, 32, 32])
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings,
        data: DataRecord,
        preset: str,
        decoder: DecoderLike | None = None,
    ) -> None:
        self.folder = folder
        self._decoder_class = decoder
        self.settings = settings
        self.data = data
        self.preset = preset
        # Figures of a run that is being finished.
        self.unwritten_summary: dict[str, Any] | None = None

    @classmethod
    def open(cls, folder: str | Path, *, decoder: DecoderLike | None = None) -> Self:
        """Open a run folder, finished or not; arguments and errors are those of `glo.open_run`."""
        folder = Path(folder)
        path = config_path(folder)
        values = read_toml(path)
        try:
            about, data = values.pop("run"), values.pop("data")
            if type(about["format"]) is not int or about["format"] != FORMAT:
                raise UserError(
                    f"{path} has format {about['format']!r}; this version of glo reads format "
                    f"{FORMAT}."
                )
            record = DataRecord.from_dict(data)
            preset = str(about["preset"])
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path} lacks a value of a run ({error}); it was edited.") from None
        settings = Settings.from_mapping(values, where=str(path))
        return cls(folder, settings=settings, data=record, preset=preset, decoder=decoder)

    def __repr__(self) -> str:
        summary = self.summary
        state = "unfinished" if summary is None else f"mse={summary['mse']:.4g}"
        return (
            f"{type(self).__name__}({str(self.folder)!r}, n={self.data.n}, "
            f"shape={self.data.shape}, code_dim={self.settings.code_dim}, {state})"
        )

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The newest whole checkpoint.

        Raises:
            UserError: there is none.
        """
        checkpoint = newest_checkpoint(self.folder / "checkpoint")
        if checkpoint is None:
            raise UserError(
                f"{self.folder} has no checkpoint yet; run the command that began it again."
            )
        return checkpoint

    @property
    def decoder_class(self) -> DecoderLike | None:
        """The class of the custom decoder, or None for a decoder of this package.

        Raises:
            UserError: the run has a custom decoder, whose class was not given.
        """
        return check_custom_decoder(self.settings.decoder, self._decoder_class, where=self.folder)

    @cached_property
    def decoder(self) -> Decoder:
        """The decoder in evaluation mode on the CPU.

        Raises:
            UserError: it cannot be read, does not fit the settings and data, or is a custom
                decoder, whose class was not given.
        """
        decoder = self.checkpoint.decoder(self.decoder_class)
        self._check_fit("decoder", (decoder.code_dim, *decoder.shape), self.data.shape)
        return decoder

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder in evaluation mode on the CPU, or None in a run without one.

        Raises:
            UserError: it cannot be read, or does not fit config.toml.
        """
        path = self.folder / ENCODER_FILE
        if not path.is_file():
            return None
        encoder = read_encoder(path)
        self._check_fit("encoder", (encoder.code_dim, *encoder.shape), self.data.shape)
        return encoder

    @cached_property
    def codes(self) -> Tensor:
        """The codes, float32 (N, D); row i belongs to example i.

        Raises:
            UserError: they cannot be read, or do not fit config.toml.
        """
        codes = self.checkpoint.codes()
        self._check_fit("codes", tuple(codes.shape[::-1]), (self.data.n,))
        return codes

    def _check_fit(self, name: str, actual: tuple[int, ...], shape: tuple[int, ...]) -> None:
        expected = (self.settings.code_dim, *shape)
        if actual != expected:
            raise UserError(
                f"The {name} of {self.folder} has size {actual}, but config.toml has {expected} "
                f"(code size first); one of the two was edited, so copy the run again."
            )

    @property
    def errors(self) -> Tensor | None:
        """Squared error of each example, float32 (N,), or None where the file is damaged."""
        return read_errors(self.folder, self.data.n)

    @property
    def is_images(self) -> bool:
        """Whether the examples are images (C, H, W), not vectors (F,)."""
        return len(self.data.shape) == 3

    @property
    def has_labels(self) -> bool:
        """Whether a label classifier was fitted, as for every finished run of labelled data."""
        return (self.folder / "prior" / LabelClassifier.file).is_file()

    @cached_property
    def label_classifier(self) -> LabelClassifier:
        """The classifier that predicts the label of a code.

        Raises:
            UserError: the data had no labels, or the file is damaged.
        """
        return load_labels(self.folder / "prior")

    @property
    def labels(self) -> Tensor | None:
        """Labels of the examples, int64 (N,), -1 for an example without one.

        None where the data had no labels, the run is not finished, or the file is damaged.
        """
        try:
            labels = self.label_classifier.training_labels if self.has_labels else None
        except UserError:
            return None
        return labels if labels is not None and len(labels) == self.data.n else None

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes 0, 1, ...; empty without labels."""
        return () if self.labels is None else self.label_classifier.names

    @cached_property
    def reading(self) -> Reading:
        """How the values of the training data were read; UserError without a valid record."""
        return read_reading(self.folder)[0]

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each decision about the training data."""
        return read_reading(self.folder)[1]

    @cached_property
    def row_ids(self) -> RowIds:
        """Identity of each row in its source; UserError if the file does not fit config.toml."""
        return RowIds.read(self.folder, self.data.n, settled=self.data.n_settled)

    def open_data(self, data: Source | None = None, *, command: str) -> Dataset:
        """Open the training data.

        Args:
            data: the data or their present path; None: the source recorded in the run.
            command: the command line before its argument DATA, for messages.

        Returns:
            N examples, standardized as in training; after `glo add` or `glo forget` the examples
            that the run has now.

        Raises:
            UserError: the data cannot be opened, or have another fingerprint.
        """
        dataset = open_training_data(
            self.folder, self.settings, self.data, self.reading, data, command=command
        )
        return self.standardize(dataset)

    def standardize(self, dataset: Dataset) -> Dataset:
        """Return a dataset of vectors with its columns standardized as in training.

        Datasets of images are returned unchanged.
        """
        columns = load_standardizer(self.decoder)
        return dataset if columns is None else dataset.standardized(columns)

    def in_units(self, examples: Tensor) -> Tensor:
        """Convert decoder outputs, (B, *shape), to the units of the data."""
        columns = load_standardizer(self.decoder)
        return examples if columns is None else columns.inverse_transform(examples)

    @property
    def summary(self) -> dict[str, Any] | None:
        """The summary, or None while the run is not finished or where the file is damaged."""
        return self.unwritten_summary or read_summary(self.folder)

    @property
    def loss_curve(self) -> list[float]:
        """Mean loss of each epoch; empty where the metrics log was left out of the callbacks."""
        records = read_metrics_log(self.folder / "metrics.jsonl")
        return [record["loss"] for record in records if record["kind"] == "epoch"]

    @property
    def prior_name(self) -> str:
        """Name of the default prior of samples."""
        return prior_name(self.settings, self.data.n)

    @property
    def fitted_priors(self) -> tuple[str, ...]:
        """Names of the fitted priors, the default first."""
        names = sorted(path.stem for path in (self.folder / "prior").glob("*.safetensors"))
        priors = (name for name in names if name != "labels")
        return tuple(sorted(priors, key=self.prior_name.__ne__))

    def prior(self, name: str | None = None) -> Prior:
        """Load a fitted prior.

        Args:
            name: name of the prior; None: the default prior of the run.

        Raises:
            UserError: there is no prior of that name, or it is not fitted yet.
        """
        self.check_finished(
            unfinished="there is nothing to sample from yet", single="a prior needs at least two"
        )
        name = name or self.prior_name
        if not self.has_prior(name):
            # Raises for a misspelled name.
            build_prior(name)
            raise UserError(
                f"{self.folder} has no prior '{name}' yet; fit it with fit_prior('{name}'), or "
                f"with glo sample {self.folder} --prior {name}."
            )
        return load_prior(self.folder / "prior", name)

    def check_finished(self, *, unfinished: str, single: str) -> None:
        """Check that the run is finished and has more than one example.

        Args:
            unfinished: consequence of an unfinished run, for the message.
            single: consequence of a single example, for the message.

        Raises:
            UserError: the run is not finished, or has one example.
        """
        if not self.checkpoint.finished:
            raise UserError(
                f"{self.folder} is not finished, so {unfinished}; run the command that began it "
                f"again."
            )
        if self.data.n < 2:
            raise UserError(
                f"{self.folder} was trained on one example, and {single}; train on more examples."
            )

    def has_prior(self, name: str) -> bool:
        """Return whether a prior of that name is fitted."""
        return (self.folder / "prior" / f"{name}.safetensors").is_file()

    def fit_prior(self, name: str, callback: Callable[[float], None] | None = None) -> None:
        """Fit another prior to the codes and store it in the run.

        Args:
            name: name of the prior.
            callback: called with the share of the fit that is done, from 0 to 1.

        Raises:
            UserError: there is no prior of that name, its library is missing, or the run is not
                finished or in use.

        Example:
            >>> run.fit_prior("mixture")
            >>> run.has_prior("mixture")
            True
        """
        # Raises for a misspelled name before anything is read.
        prior = build_prior(name, **prior_config(name, self.settings, self.data.n))
        self.check_finished(
            unfinished="there is nothing to sample from yet", single="a prior needs at least two"
        )
        lock = RunLock(self.folder)
        try:
            for share in prior.fit_iter(self.codes, seed=self.settings.seed):
                if callback is not None:
                    callback(share)
            save_prior(prior, self.folder / "prior")
        finally:
            lock.release()

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        start: int = 0,
        temperature: float = 1.0,
        prior: str | None = None,
        label: Label | None = None,
    ) -> Tensor:
        """Sample new examples.

        Args:
            n: number of examples.
            seed: seed of the sequence; sample j of a seed does not depend on n or the batch.
            start: number of the first sample in that sequence.
            temperature: factor of the spread of the prior; below 1 more typical, less varied.
            prior: name of the prior; None: the default prior of the run.
            label: class name, a string or number, that all examples should have; None: any.

        Returns:
            (n, *shape), float32, or float64 where float32 would round the data; images in [-1, 1],
            vectors in the units of the data.

        Raises:
            UserError: the prior is not fitted, or no training example has the label.

        Example:
            >>> run.sample(4, seed=1, temperature=0.8).shape
            torch.Size([4, 1, 8, 8])
        """
        source = self.prior(prior)
        if label is None:
            codes = source.sample(n, seed=seed, start=start, temperature=temperature)
        else:
            labels = self.label_classifier
            number = labels.number(label)
            codes = sample_label(
                source, labels, number, n, seed=seed, start=start, temperature=temperature
            )
        return self.decode(codes)

    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes.

        Args:
            codes: float (n, D); `settings.constraint` is not applied.

        Returns:
            (n, *shape), as for `sample`.

        Raises:
            UserError: the codes have another shape.

        Example:
            >>> run.decode(run.codes[:3]).shape
            torch.Size([3, 1, 8, 8])
        """
        self._check_codes(codes)
        return self.in_units(decode(self.decoder, codes, self.settings.precision))

    def reconstruct(self, rows: Tensor) -> Tensor:
        """Decode the codes of training examples.

        Args:
            rows: int64 (n,), row numbers.

        Returns:
            (n, *shape), as for `sample`.

        Example:
            >>> run.reconstruct(torch.arange(3)).shape
            torch.Size([3, 1, 8, 8])
        """
        return self.decode(self.codes[rows])

    def nearest(self, codes: Tensor, k: int = 8) -> tuple[Tensor, Tensor]:
        """Find the training examples whose codes are nearest to given codes.

        Args:
            codes: float32 (n, D), such as `encode` returns.
            k: number of neighbours, 1 or more; at most N are returned.

        Returns:
            their rows, int64 (n, k), nearest first, and Euclidean distances, float32 (n, k).

        Raises:
            UserError: the codes have another shape, or k is below 1.

        Example:
            >>> rows, distances = run.nearest(run.codes[:3], k=2)
            >>> rows[:, 0].tolist(), distances[:, 0].tolist()
            ([0, 1, 2], [0.0, 0.0, 0.0])
        """
        self._check_codes(codes)
        found = [neighbours(self.codes, code, k) for code in codes]
        return torch.stack([rows for rows, _ in found]), torch.stack([far for _, far in found])

    def _check_codes(self, codes: Tensor) -> None:
        dim = self.settings.code_dim
        if codes.ndim != 2 or len(codes) == 0 or codes.shape[1] != dim:
            raise UserError(
                f"The codes have shape {tuple(codes.shape)}, but this run's have {dim} numbers; "
                f"give (n, {dim}) with n of 1 or more."
            )

    def write_config(self) -> None:
        """Write settings and data record to config.toml."""
        about = toml_lines({"format": FORMAT, "preset": self.preset})
        text = "# Made by glo train; pass it to --config to use these settings again.\n"
        text += f"{toml_lines(self.settings.to_dict())}\n[run]\n{about}\n{self.data.toml()}"
        write_text(self.folder / "config.toml", text)


def open_run(folder: str | Path, *, decoder: DecoderLike | None = None) -> Run:
    """Open a run folder without its tasks; arguments and errors are those of `glo.open_run`."""
    return Run.open(folder, decoder=decoder)
