"""`GLO`, the scikit-learn estimator: a run folder behind fit, transform and sample."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import check_array
from sklearn.utils.metadata_routing import UNUSED

from glo.config.settings import Settings
from glo.data import Dataset
from glo.data.labels import Label
from glo.decoders import Decoder, DecoderLike
from glo.errors import UserError
from glo.estimator.example_format import ExampleFormat
from glo.estimator.parameters import read_parameters, settings_of, write_parameters
from glo.estimator.run_store import RunStore
from glo.estimator.validation import (
    check_examples,
    check_training_data,
    ids_of,
    labels_of,
    row_digests,
)
from glo.export import fetch_pretrained, push_to_hub, save_pretrained
from glo.losses import MSELoss
from glo.priors import Prior
from glo.runs.training_data import split_rows
from glo.training.callbacks import Message
from glo.workflows.edit_rows import add_rows, forget_rows
from glo.workflows.encode import SearchKind
from glo.workflows.progress import ProgressBar
from glo.workflows.run import open_run
from glo.workflows.train import TrainingRun, default_callbacks

__all__ = ["GLO", "load"]


@final
class GLO(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Learn a decoder and one latent code per example; find codes of new examples by search.

    X is images, (N, H, W[, C]) or (N, C, H, W), as bool, floats in [0, 1] or [-1, 1], or integers
    from 0 to 255, 1023, 4095, 16383 or 65535, the first that is not exceeded; vectors (N, F); or a
    `glo.Dataset`. NaN and masked values are missing: they are left out of the loss, and
    `inverse_transform(transform(X))` fills it. Columns of vectors are standardized inside, so
    their errors are in standard deviations; errors of images are on pixels in [-1, 1]. Images whose
    sides are not a power of two are resized inside and resized back.

    Args:
        code_dim: D, numbers in a code.
        epochs: passes over the data; None: 12, and more for small data sets (at least 3000 steps
            for images, 800 for vectors).
        batch_size: B, examples in a step.
        width: width of the decoder.
        decoder: dcgan, residual, tensorlayer or mlp; or any `nn.Module` from (B, D) to examples, as
            an instance, class or factory; None: dcgan for images, mlp for vectors.
        loss: mse, l1, lap1, features, or a weighted sum such as 'mse+0.1*lap1'.
        constraint: constraint on each code: ball, sphere or free.
        init: initial codes: pca or gaussian.
        decoder_lr: peak learning rate of the decoder.
        code_lr: peak learning rate of the codes.
        refine_passes: passes over all codes under the final decoder.
        prior: prior that `sample` draws from: gaussian, mixture, flow-matching, normalizing-flow or
            imle; None: flow-matching from 5,000 examples on, a mixture below.
        precision: auto, float32 or bf16.
        device: auto, cpu, cuda or mps.
        size: side of images inside, in pixels; None: their own, or the next power of two.
        random_state: seed, a `RandomState`, or None for a seed from NumPy's global state.
        settings: other settings, as a mapping such as {"schedule": "constant"} or `glo.Settings`.
        run_dir: folder of the run, resumed where it was interrupted; None: a temporary folder,
            until `save`.
        contamination: share of ordinary examples that `predict` takes for outliers, above 0 and at
            most 0.5.
        validation: examples that are not trained on, whose error is measured while training: a
            fraction of X, such as 0.05, or examples of the form of X; None: none. With
            `settings={"patience": 5}` training stops after 5 checks without improvement.
        callbacks: objects with hooks of `glo.Callback`; None: `glo.default_callbacks()`.
        verbose: 1 shows progress with the time left; 0 shows nothing.

    Attributes:
        codes_: float32 (N, D), row i the code of the i-th training row of X.
        decoder_: network from codes to examples, in evaluation mode.
        prior_: density on the codes.
        summary_: figures of the run, as in `summary.json`.
        n_iter_: epochs of the training of `decoder_` and `codes_`.
        loss_curve_: mean loss of each epoch.
        validation_score_: `score` of the validation examples, or None without them.
        validation_rows_: int64 (m,), rows of X that `validation` as a fraction held out.
        n_features_in_: numbers in an example.

    Reference:
        Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the Latent Space of Generative
        Networks", ICML 2018, equation 1.

    Example:
        >>> t = np.linspace(-1, 1, 60)
        >>> X = np.column_stack([t, 2 * t, 100 * t**2])
        >>> model = GLO(code_dim=1, width=4, epochs=100, batch_size=16, prior="gaussian")
        >>> codes = model.fit_transform(X)
        >>> codes.shape
        (60, 1)
        >>> model.inverse_transform(codes).shape, model.score(X) > -0.1
        ((60, 3), True)
    """

    # How to search is no metadata of the examples, so pipelines do not route it.
    __metadata_request__transform: ClassVar = {"search": UNUSED}

    def __init__(
        self,
        code_dim: int = 32,
        *,
        epochs: int | None = None,
        batch_size: int = 128,
        width: int = 64,
        decoder: str | DecoderLike | None = None,
        loss: str = "mse",
        constraint: str = "ball",
        init: str = "pca",
        decoder_lr: float = 4e-3,
        code_lr: float = 0.015,
        refine_passes: int = 3,
        prior: str | None = None,
        precision: str = "auto",
        device: str = "auto",
        size: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        settings: Mapping[str, Any] | Settings | None = None,
        run_dir: str | Path | None = None,
        contamination: float = 0.1,
        validation: Any = None,
        callbacks: Sequence[object] | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_dim = code_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.width = width
        self.decoder = decoder
        self.loss = loss
        self.constraint = constraint
        self.init = init
        self.decoder_lr = decoder_lr
        self.code_lr = code_lr
        self.refine_passes = refine_passes
        self.prior = prior
        self.precision = precision
        self.device = device
        self.size = size
        self.random_state = random_state
        self.settings = settings
        self.run_dir = run_dir
        self.contamination = contamination
        self.validation = validation
        self.callbacks = callbacks
        self.verbose = verbose

    # Training

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on examples, and fit the prior.

        Args:
            X: examples, see above.
            y: classes, (N,) or one-hot (N, K), for `sample(label=...)`; ignored, with a note in the
                run, if it holds anything else, or X is a `Dataset` with labels of its own.

        Raises:
            UserError: data or settings cannot be used, or `run_dir` is a run of other ones.
            KeyboardInterrupt: Ctrl-C; with `run_dir` the same call resumes.

        Warns:
            ConvergenceWarning: one sentence per finding of the diagnosis.
        """
        held_out = self._train(X, y)
        self.validation_score_ = None if held_out is None else float(self._scores(held_out).mean())
        for sentence in self.summary_["diagnosis"]:
            warnings.warn(sentence, ConvergenceWarning, stacklevel=2)
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> NDArray[np.float32]:
        """Train on examples and return their codes, float32 (n, D).

        Rows that `validation` as a fraction holds out get codes by search.
        """
        self.fit(X, y, **fit_params)
        return self.transform(X) if len(self.validation_rows_) else self.codes_

    def _train(self, X: Any, y: Any, **changes: Any) -> Dataset | None:
        """Train, and return the held-out examples."""
        params = self.get_params(deep=False)
        settings = settings_of({**params, **changes})
        dataset, form = check_training_data(
            self, X, y, size=self.size, pixel_range=settings.pixel_range
        )
        held_out = None
        if {**params, **changes}["validation"] is not None and settings.validation is None:
            held_out = self._converted(self.validation, form)
        decoder = None if isinstance(self.decoder, str) else self.decoder
        folder = None if self.run_dir is None else Path(self.run_dir)
        store = RunStore(folder, device=self.device, decoder=decoder)
        callbacks = default_callbacks() if self.callbacks is None else list(self.callbacks)
        training = TrainingRun(
            store.folder,
            dataset,
            settings,
            source="array",
            preset="python",
            decoder=decoder,
            validation=held_out,
            callbacks=[*callbacks, ProgressBar()] if self.verbose else callbacks,
        )
        try:
            finished = training.fit()
        except KeyboardInterrupt:
            training.save()
            raise
        finally:
            training.close()
        if not finished:
            raise UserError(
                "A callback stopped the training before the run was finished; fit again with the "
                "same run_dir to resume it."
            )
        self._form, self._store = form, store
        self._n_features_out = settings.code_dim
        self._digests = row_digests(training.samples)
        self.validation_rows_ = np.zeros(0, np.int64)
        if isinstance(settings.validation, float):
            _, rows = split_rows(len(dataset), settings.validation, seed=settings.seed)
            self.validation_rows_ = rows.numpy()
        write_parameters(store.folder, params, settings.seed, form)
        return training.validation.held_out

    def add(self, X: Any, y: Any = None) -> Self:
        """Append examples without training: their codes are found by search.

        They become the last rows of `codes_`. The decoder and earlier codes keep every bit; the
        prior is fitted again. A folder given as `run_dir` or loaded is changed.

        Args:
            X: examples of the form that was fitted.
            y: classes, (n,), if the first examples had some.

        Raises:
            UserError: another shape or range, nothing of an example is observed, or the folder is
                in use.

        Warns:
            ConvergenceWarning: the decoder does not reconstruct the examples.
        """
        self._fitted()
        self._append(self._dataset(X, y), epochs=0)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch on a batch of examples, which become the last rows of `codes_`.

        The first call initializes decoder, codes and format from its batch. Later calls find codes
        of their batch by search, then train decoder and these codes for one epoch at the peak
        learning rates. Earlier codes keep their values under the changed decoder.

        Args:
            X: examples, see above; of one form in all calls.
            y: classes, (n,).

        Raises:
            UserError: data or settings cannot be used, or the folder is in use.
        """
        if not self.__sklearn_is_fitted__():
            self._train(X, y, epochs=1, validation=None)
        else:
            self._append(self._dataset(X, y), epochs=1)
        return self

    def forget(self, rows: ArrayLike) -> Self:
        """Remove examples: their codes, and the priors and pictures that were made from them.

        Later rows move up. The weights of the decoder are not changed: only training again removes
        what they hold of an example. A folder given as `run_dir` or loaded is changed, and this
        cannot be undone.

        Args:
            rows: row numbers of `codes_`, or strings, values of the index of a data frame, (m,).

        Raises:
            UserError: a row does not exist, or none would be left.
        """
        numbers = np.atleast_1d(np.asarray(rows))
        if numbers.dtype.kind in "UO":
            ids = self._fitted().run.row_ids
            numbers = np.array([ids.find(f"id:{name}") for name in numbers.ravel()], np.int64)
        if numbers.ndim != 1 or (numbers.dtype.kind not in "iu" and numbers.size):
            raise UserError(
                f"rows have shape {numbers.shape} and dtype {numbers.dtype}; give integers, (m,)."
            )
        store, chosen = self._fitted(), torch.from_numpy(numbers.astype(np.int64))
        messages = forget_rows(store.folder, chosen, decoder=store.decoder)
        if self._digests:
            gone = set(chosen.tolist())
            self._digests = [d for row, d in enumerate(self._digests) if row not in gone]
        self._refresh(messages)
        return self

    # Codes and examples

    def transform(self, X: Any, *, search: SearchKind = "refine") -> NDArray[np.float32]:
        """Return the codes of examples: stored ones of training rows, others found by search.

        A row counts as a training row if it has the same values as a row given to `fit`, `add` or
        `partial_fit` of this object; a loaded model searches for all rows.

        Args:
            X: (n, ...), as for `fit`; NaN is missing.
            search: "refine", a short search that begins at the code of the encoder; "encoder", one
                pass of it; "full", a search without it. A model without an encoder, such as one of
                fewer than 2,000 examples, searches in full.

        Returns:
            float32 (n, D).

        Raises:
            UserError: another shape or range, nothing of an example is observed, or search is
                "encoder" and there is none.
        """
        store, dataset = self._fitted(), self._dataset(X)
        # The first of equal training rows counts.
        row_of = {d: row for row, d in reversed(list(enumerate(self._digests)))}
        rows = np.array([row_of.get(digest, -1) for digest in row_digests(dataset)], np.int64)
        codes = np.empty((len(rows), self._n_features_out), dtype=np.float32)
        known = rows >= 0
        codes[known] = self.codes_[rows[known]]
        if not known.all():
            new = dataset.subset(np.flatnonzero(~known))
            codes[~known] = store.run.encode(new, search=search).numpy()
        return codes

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Decode codes.

        Args:
            X: (n, D).

        Returns:
            examples in the layout, dtype and range of the training examples, nothing missing.
        """
        run = self._fitted().run
        codes = check_array(X, dtype=np.float32, input_name="codes", force_writeable=True)
        return self._form.restore(run.decode(torch.from_numpy(codes)))

    def sample(
        self,
        n_samples: int = 1,
        *,
        seed: int = 0,
        label: Label | None = None,
        prior: str | None = None,
        temperature: float = 1.0,
    ) -> NDArray[Any]:
        """Draw new examples; sample j of a seed does not depend on their number.

        Args:
            n_samples: number of samples.
            seed: seed of the sequence of samples.
            label: class of the samples, one of those given to `fit`; None: any.
            prior: name of another prior, fitted first if the run lacks it.
            temperature: factor of the prior's spread; below 1: more typical, less varied.

        Raises:
            UserError: there is no such label or prior.
        """
        run = self._fitted().run
        if label is not None and not run.has_labels:
            reason = " ".join(note for note in run.notes if note.startswith("y "))
            raise UserError(
                f"label is {label!r}, but the model has no classes. {reason or 'No y was given.'} "
                f"Fit with one class for each example, or leave label at None."
            )
        if prior is not None and not run.has_prior(prior):
            run.fit_prior(prior)
        examples = run.sample(
            n_samples, seed=seed, temperature=temperature, prior=prior, label=label
        )
        return self._form.restore(examples)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`: higher is better, 0 is best."""
        return float(self.score_samples(X).mean())

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return the negative squared error of each example under its code, found by search.

        It is a mean over the observed numbers, in the units of `summary_["mse"]`.
        `prior_.log_prob` gives the density of a code, for priors that have one.

        Args:
            X: (n, ...), as for `transform`.

        Returns:
            (n,), at most 0.
        """
        return self._scores(self._dataset(X))

    def _scores(self, dataset: Dataset) -> NDArray[np.float64]:
        error = MSELoss()
        parts = [
            error(batch.inversion.reconstructions.cpu(), batch.target, batch.mask)
            for batch in self._fitted().run.search(dataset)
        ]
        return -torch.cat(parts).double().numpy()

    def anomaly_score(self, X: Any) -> NDArray[np.float64]:
        """Return how unusual residual and code of each example are, found by search.

        It is -log10 of the probability that an ordinary example is at least as unusual: 1 in 10
        ordinary examples is above 1, and 1 in 100 above 2. Its calibration is for whole examples
        that were not trained on; training examples score lower.

        Args:
            X: (n, ...), as for `transform`.

        Returns:
            (n,), above 0, higher for more anomalous examples.

        Raises:
            UserError: `partial_fit` changed the decoder, so ordinary residuals are unknown.
        """
        run = self._fitted().run
        found = (batch.inversion for batch in run.search(self._dataset(X)))
        parts = [run.anomaly_model.score(each.codes, each.residuals).anomaly for each in found]
        return np.concatenate(parts)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the threshold of `contamination` minus `anomaly_score`: below 0 for outliers.

        Raises:
            UserError: as for `anomaly_score`, or `contamination` is out of range.
        """
        share: Any = self.contamination
        if not isinstance(share, int | float | np.number) or not 0 < share <= 0.5:
            raise UserError(f"contamination is {share!r}; it must be above 0 and at most 0.5.")
        return -math.log10(share) - self.anomaly_score(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return 1 for ordinary examples and -1 for outliers, as scikit-learn's detectors do.

        Of ordinary examples that were not trained on, a share of `contamination` gets -1.

        Args:
            X: (n, ...), as for `transform`.

        Raises:
            UserError: as for `decision_function`.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    # Fitted attributes

    @property
    def codes_(self) -> NDArray[np.float32]:
        """Codes of the training examples, float32 (N, D)."""
        return self._fitted().run.codes.numpy()

    @property
    def decoder_(self) -> Decoder:
        """Decoder, in evaluation mode."""
        return self._fitted().run.decoder

    @property
    def prior_(self) -> Prior:
        """Prior that `sample` draws from."""
        return self._fitted().run.prior()

    @property
    def summary_(self) -> dict[str, Any]:
        """Figures of the run, as in `summary.json`."""
        summary = self._fitted().run.summary
        assert summary is not None, "a finished run has a summary"
        return summary

    @property
    def loss_curve_(self) -> list[float]:
        """Mean loss of each epoch; empty where the metrics log was left out of the callbacks."""
        return self._fitted().run.loss_curve

    @property
    def n_iter_(self) -> int:
        """Epochs trained."""
        return int(self.summary_["epochs"])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_store")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    # Storage

    def save(self, folder: str | Path) -> None:
        """Copy the run to a new folder, which `glo.load` and all commands of `glo` open.

        Raises:
            UserError: the folder is not empty.
        """
        store = self._fitted()
        store.copy_to(Path(folder))
        seed = store.run.settings.seed
        write_parameters(Path(folder), self.get_params(deep=False), seed, self._form)

    def save_pretrained(self, folder: str | Path, *, license: str | None = None) -> Path:
        """Write the run with a model card, as `glo.export.save_pretrained` does.

        Raises:
            UserError: the folder holds something else, or huggingface_hub is not installed.
        """
        return save_pretrained(self._fitted().run, folder, license=license)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Publish the run and return the address of the commit, as `glo.export.push_to_hub` does.

        Raises:
            UserError: the Hub refuses it or cannot be reached.
        """
        return push_to_hub(self._fitted().run, repo_id, **options)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, decoder: DecoderLike | None = None, **options: Any
    ) -> Self:
        """Open a run, by its folder or as USER/NAME on the Hub, as a fitted estimator.

        Args:
            name: name of the folder or the repository.
            decoder: custom decoder; None: a decoder of this package.
            options: options of `glo.export.fetch_pretrained`.

        Raises:
            UserError: there is none, or it is not a finished run.
        """
        return load(fetch_pretrained(name, **options), decoder=decoder)

    def _fitted(self) -> RunStore:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("This GLO is not fitted yet; call fit(X), or glo.load(folder).")
        store: RunStore = self._store
        return store

    def _dataset(self, X: Any, y: Any = None) -> Dataset:
        return self._converted(X, self._form, y)

    def _converted(self, X: Any, form: ExampleFormat, y: Any = None) -> Dataset:
        array = check_examples(self, X, reset=False)
        if isinstance(array, Dataset):
            return array
        return form.samples(array, ids=ids_of(X), **labels_of(y, len(array), are_classes=True))

    def _append(self, dataset: Dataset, *, epochs: int) -> None:
        store = self._fitted()
        messages = add_rows(
            store.folder,
            dataset,
            source="array",
            epochs=epochs,
            device=self.device,
            decoder=store.decoder,
        )
        if self._digests:
            self._digests = self._digests + row_digests(dataset)
        self._refresh(messages)

    def _refresh(self, messages: list[Message]) -> None:
        self._fitted().refresh()
        for message in messages:
            if message.warning:
                warnings.warn(message.text, ConvergenceWarning, stacklevel=4)


def load(folder: str | Path, *, decoder: DecoderLike | None = None) -> GLO:
    """Open a run folder, made by `GLO.save` or by `glo train`, as a fitted estimator.

    The data are not needed. It decodes on the best device of this machine.

    Args:
        folder: path of the run folder.
        decoder: custom decoder; None: a decoder of this package.

    Raises:
        UserError: the folder is not a finished run, or its custom decoder was not given.

    Example:
        >>> load("no/such/run")
        Traceback (most recent call last):
        glo.errors.UserError: no/such/run is not a run folder: it does not exist; give the folder \
that glo train named.
    """
    run = open_run(folder, decoder=decoder)
    if not run.checkpoint.finished or run.summary is None:
        raise UserError(f"{folder} is not finished; run the command that began it again.")
    params, form = read_parameters(run)
    model = GLO(**params)
    model.set_params(device="auto")
    if run.decoder_class is not None:
        model.set_params(decoder=run.decoder_class)
    store = RunStore(Path(folder), device="auto", decoder=run.decoder_class)
    model._form, model._store, model._n_features_out = form, store, run.settings.code_dim
    model._digests = []
    model.n_features_in_ = int(np.prod(form.shape))
    if run.reading.columns:
        model.feature_names_in_ = np.array(run.reading.columns, dtype=object)
    return model
