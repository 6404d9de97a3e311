"""A run: a folder that describes itself.

    config.toml     settings, and what data they were used on
    metrics.jsonl   one JSON object per logged step and per epoch
    summary.json    what came out
    checkpoint/     weights, codes and optimiser state, checksummed
    errors.safetensors  the error of every training example
    prior/          densities fitted on the codes
    samples/        pictures

It is opened and sampled without the data and without the command that made it.
"""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, final

from torch import Tensor

from glo.config.fields import toml_lines
from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions
from glo.decoders import Decoder, custom_decoder
from glo.decoders.decode import decode
from glo.errors import UserError
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
from glo.runs.outcome import read_summary
from glo.runs.reconstruction_errors import read_errors
from glo.runs.training_data import Source, open_training_data, source_options
from glo.runs.transaction import finish_change
from glo.training.factory import load_standardizer, prior_config, prior_name
from glo.utils.files import suggest_beside, write_text
from glo.utils.json_toml import read_toml
from glo.utils.lock import RunLock

__all__ = ["DataRecord", "Run", "open_run", "write_json"]

# Version of the run folder's layout, written to config.toml.
FORMAT = 1


@final
class Run:
    """A run folder; `open_run` opens one that exists.

    Attributes:
        folder: its path.
        settings: the recipe.
        data: what it was trained on.
        preset: name of the preset the settings came from.

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
        decoder: type[Decoder] | None = None,
    ) -> None:
        self.folder = folder
        self._decoder_class = decoder
        self.settings = settings
        self.data = data
        self.preset = preset

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The newest whole checkpoint.

        Raises:
            UserError: there is none.
        """
        found = newest_checkpoint(self.folder / "checkpoint")
        if found is None:
            raise UserError(
                f"{self.folder} has no checkpoint yet; run the command that began it again."
            )
        return found

    @property
    def decoder_class(self) -> type[Decoder] | None:
        """The class of a decoder that is none of this package, or None.

        Raises:
            UserError: there is one, and it was not named.
        """
        return custom_decoder(self.settings.decoder, self._decoder_class, where=self.folder)

    @cached_property
    def decoder(self) -> Decoder:
        """The decoder, in evaluation mode, on the CPU.

        Raises:
            UserError: it cannot be read, is not that of these settings and data, or is of a class
                that was not named.
        """
        decoder = self.checkpoint.decoder(self.decoder_class)
        self._check_fit("decoder", (decoder.code_dim, *decoder.shape), self.data.shape)
        return decoder

    @cached_property
    def codes(self) -> Tensor:
        """The codes, (N, D); row i belongs to example i.

        Raises:
            UserError: they cannot be read, or are not as many and as long as config.toml says.
        """
        codes = self.checkpoint.codes()
        self._check_fit("codes", tuple(codes.shape[::-1]), (self.data.n,))
        return codes

    def _check_fit(self, what: str, given: tuple[int, ...], more: tuple[int, ...]) -> None:
        wanted = (self.settings.code_dim, *more)
        if given != wanted:
            raise UserError(
                f"The {what} of {self.folder} are made for {given}, and config.toml says {wanted} "
                f"(code size first); one of the two was edited, so fetch the run anew."
            )

    @property
    def errors(self) -> Tensor | None:
        """Squared error of each example under its code, float32 (N,), or None: not kept."""
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
        """Names of the labels 0, 1, ...; empty where they are numbers only."""
        return () if self.labels is None else self.label_classifier.names

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
        dataset = open_training_data(self.folder, self.settings, self.data, data, command=command)
        return self.standardize(dataset)

    def source_options(self, *, limit: int | None = None) -> SourceOptions:
        """Return the options by which the run's settings read a source."""
        return source_options(self.settings, limit=limit)

    def standardize(self, dataset: Dataset) -> Dataset:
        """Return a dataset of vectors with its columns standardized as in training.

        Datasets of images are returned unchanged.
        """
        columns = load_standardizer(self.decoder)
        return dataset if columns is None else dataset.standardised(columns)

    def in_units(self, examples: Tensor) -> Tensor:
        """Convert decoder outputs, (B, *shape), to the units of the data."""
        columns = load_standardizer(self.decoder)
        return examples if columns is None else columns.restore(examples)

    @property
    def summary(self) -> dict[str, Any] | None:
        """What came out, or None while the run is not finished or the file is damaged."""
        return read_summary(self.folder)

    @property
    def prior_name(self) -> str:
        """The prior that samples come from unless another is named."""
        return prior_name(self.settings, self.data.n)

    @property
    def fitted_priors(self) -> tuple[str, ...]:
        """The names of the priors that were fitted, that of `prior_name` first."""
        found = sorted(path.stem for path in (self.folder / "prior").glob("*.safetensors"))
        names = (name for name in found if name != "labels")
        return tuple(sorted(names, key=self.prior_name.__ne__))

    def prior(self, name: str | None = None) -> Prior:
        """Return the prior called `name`, or that of `prior_name`.

        Raises:
            UserError: the run has none of that name, or none yet.
        """
        self._check_prior()
        chosen = name or self.prior_name
        if not self.has_prior(chosen):
            # A misspelt name is said first.
            build_prior(chosen)
            raise UserError(
                f"{self.folder} has no prior '{chosen}' yet; fit it with fit_prior('{chosen}'), or "
                f"with glo sample {self.folder} --prior {chosen}."
            )
        return load_prior(self.folder / "prior", chosen)

    def check_finished(self, *, unfinished: str, single: str) -> None:
        """Check that training is over and left more than one code.

        Args:
            unfinished: what follows from a run that goes on, for the sentence.
            single: what follows from one code.

        Raises:
            UserError: it is not, or there is one example.
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

    def _check_prior(self) -> None:
        self.check_finished(
            unfinished="there is nothing to sample from yet", single="a prior needs at least two"
        )

    def has_prior(self, name: str) -> bool:
        """Whether a prior of that name was fitted."""
        return (self.folder / "prior" / f"{name}.safetensors").is_file()

    def fit_prior(self, name: str) -> Iterator[float]:
        """Fit another prior to the codes and keep it in the run, yielding the share that is done.

        Raises:
            UserError: there is no prior of that name, its library is missing, or the run is not
                finished, or in use.

        Example:
            >>> for share in open_run("runs/mnist").fit_prior("mixture"):  # doctest: +SKIP
            ...     print(f"{share:.0%}")
        """
        # A misspelt name is said before anything is read.
        prior = build_prior(name, **prior_config(name, self.settings, self.data.n))
        self._check_prior()
        lock = RunLock(self.folder)
        try:
            yield from prior.fit_iter(self.codes, seed=self.settings.seed)
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
        label: int | str | None = None,
    ) -> Tensor:
        """Make new examples.

        Args:
            n: how many.
            seed: which sequence of samples; sample j of a seed is the same in any batch.
            start: number of the first sample in that sequence.
            temperature: factor of the prior's spread; below 1 more typical, less varied.
            prior: name of the prior, or None for that of the run.
            label: only examples of this label: its number or its name.

        Returns:
            float32 (n, *shape); images in [-1, 1], vectors in the units of the data.

        Raises:
            UserError: the prior was not fitted, or the run has no such label.
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
        return self.in_units(decode(self.decoder, codes, self.settings.precision))

    def reconstruct(self, rows: Tensor) -> Tensor:
        """Decode the codes of training examples `rows`, float32 (B, *shape), as for `sample`."""
        return self.in_units(decode(self.decoder, self.codes[rows], self.settings.precision))

    def write_config(self) -> None:
        """Save settings and data facts as config.toml."""
        about = toml_lines({"format": FORMAT, "preset": self.preset})
        text = "# Made by glo train; pass it to --config to use these settings again.\n"
        text += f"{toml_lines(self.settings.to_dict())}\n[run]\n{about}\n{self.data.toml()}"
        write_text(self.folder / "config.toml", text)


def open_run(folder: str | Path, *, decoder: type[Decoder] | None = None) -> Run:
    """Open a run folder, finished or not.

    Args:
        folder: its path.
        decoder: the class of its decoder, if that is none of this package.

    Raises:
        UserError: it is not a run folder, or its config.toml cannot be read.

    Example:
        >>> open_run("no/such/run")
        Traceback (most recent call last):
        glo.errors.UserError: no/such/run is not a run folder: it does not exist; give the folder \
that glo train named.
    """
    folder = Path(folder)
    finish_change(folder)
    path = folder / "config.toml"
    if not path.is_file():
        is_there = folder.exists()
        lack = "has no config.toml" if is_there else "does not exist"
        raise UserError(
            f"{folder} is not a run folder: it {lack}; give the folder that glo train named."
            f"{'' if is_there else suggest_beside(folder)}"
        )
    values = read_toml(path)
    try:
        about, data = values.pop("run"), values.pop("data")
        if type(about["format"]) is not int or about["format"] != FORMAT:
            raise UserError(
                f"{path} has format {about['format']!r}; this version of glo reads format {FORMAT}."
            )
        facts = DataRecord.from_dict(data)
        preset = str(about["preset"])
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} lacks what a run needs ({error}); it was edited.") from None
    settings = Settings.from_mapping(values, where=str(path))
    return Run(folder, settings=settings, data=facts, preset=preset, decoder=decoder)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")
