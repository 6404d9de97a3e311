"""`GLO`: the scikit-learn contract over a run.

It trains with the same session as the command line, in a run folder, and everything that it learns
is in that folder: `save` copies it, `load` opens one that `glo train` made.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from glo.data import Dataset
from glo.decoders import DecoderLike
from glo.decoders.decode import decode
from glo.errors import UserError
from glo.estimator.fitted import chosen_settings, read_about, write_about
from glo.estimator.growing import Growing
from glo.estimator.run_store import RunStore
from glo.estimator.sharing import Sharing
from glo.estimator.validation import learned, taken
from glo.losses import MSELoss
from glo.runs.run import open_run
from glo.workflows.train import TrainingRun, default_callbacks

__all__ = ["GLO", "load"]


@final
class GLO(
    Sharing,
    Growing,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Learn a decoder and one code per example; find codes of new examples by search.

    X is images, (N, H, W[, C]) or (N, C, H, W), as uint8, bool, or floats in [0, 1] or [-1, 1]; or
    vectors (N, F); or a `Dataset`. NaN is missing: it is left out of the loss, and
    `inverse_transform(transform(X))` fills it. Columns of vectors are standardised inside, so
    errors are in standard deviations; those of images are on pixels in [-1, 1]. Images whose sides
    are not a power of two are resized inside and pictures resized back.

    Args:
        code_dim: D, numbers in a code.
        epochs: passes over the data; None: 25, and more for small data sets (at least
            3000 steps for images, 800 for vectors).
        batch_size: examples in a step.
        width: of the decoder.
        decoder: dcgan, residual, tensorlayer, mlp, or a class of your own; None: dcgan for images,
            mlp for vectors.
        loss: mse, l1, lap1, features, or a weighted sum such as 'mse+0.1*lap1'.
        constraint: what holds for every code: ball, sphere or free.
        init: initial codes: pca or gaussian.
        decoder_lr: peak learning rate of the decoder.
        code_lr: peak learning rate of the codes.
        refine_passes: passes over all codes under the finished decoder.
        prior: what `sample` draws from: gaussian, mixture, flow-matching, normalizing-flow, imle;
            None: flow-matching from 5,000 examples on, below a mixture.
        precision: auto, float32 or bf16.
        device: auto, cpu, cuda, mps.
        size: side of images inside; None: as they are, or the next power of two.
        seed: of everything random.
        random_state: as in scikit-learn: a number or a RandomState takes the place of `seed`.
        run: run folder to train in and keep, which goes on where it was stopped; None: a temporary
            one, until `save`.
        more: other settings of a run by name, as {"schedule": "constant"}.

    Attributes:
        codes_: float32 (N, D), row i the code of row i of X.
        decoder_: the network from codes to examples.
        prior_: density on the codes.
        summary_: what came out of the training.
        n_features_in_: numbers in an example.

    Reference:
        Bojanowski, Joulin, Lopez-Paz and Szlam, "Optimizing the Latent Space of Generative
        Networks", ICML 2018, equation 1.

    Example:
        >>> t = np.linspace(-1, 1, 60)
        >>> X = np.column_stack([t, 2 * t, 100 * t**2])
        >>> model = GLO(code_dim=1, width=4, epochs=100, batch_size=16, prior="gaussian").fit(X)
        >>> codes = model.transform(X)
        >>> codes.shape
        (60, 1)
        >>> model.inverse_transform(codes).shape, model.score(X) > -0.1
        ((60, 3), True)
    """

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
        seed: int = 0,
        random_state: int | np.random.RandomState | None = None,
        run: str | Path | None = None,
        more: dict[str, Any] | None = None,
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
        self.seed = seed
        self.random_state = random_state
        self.run = run
        self.more = more

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on examples, and fit the prior.

        Args:
            X: examples, see above.
            y: classes, (N,), for `sample(label=...)`; anything else is ignored, as are y where X is
                a `Dataset` with labels of its own.

        Raises:
            UserError: data or settings cannot be used, or `run` is a run of other ones.

        Warns:
            ConvergenceWarning: one sentence for each thing that is wrong with the outcome.
        """
        settings = chosen_settings(self.get_params(deep=False))
        samples, form = learned(self, X, y, size=self.size)
        own = None if isinstance(self.decoder, str) else self.decoder
        place = None if self.run is None else Path(self.run)
        home = RunStore(place, device=self.device, decoder=own)
        training = TrainingRun(
            home.folder,
            samples,
            settings,
            source="array",
            preset="python",
            decoder=own,
            callbacks=default_callbacks(),
        )
        try:
            training.fit()
        except KeyboardInterrupt:
            training.save()
            raise
        finally:
            training.close()
        self._form, self._home = form, home
        self._n_features_out = settings.code_dim
        write_about(home.folder, self.get_params(deep=False), settings.seed, form)
        for sentence in self.summary_["diagnosis"]:
            warnings.warn(sentence, ConvergenceWarning, stacklevel=2)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Find codes of examples by search, those of training examples too.

        Args:
            X: (n, ...), as for `fit`; NaN is missing.

        Returns:
            float32 (n, D).

        Raises:
            UserError: another shape or range, or nothing of an example is known.
        """
        return torch.cat([found.codes for *_, found in self._search(X)]).numpy()

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Decode codes.

        Args:
            X: (n, D).

        Returns:
            examples in the form, dtype and range of those that were learned, nothing missing.
        """
        home = self._fitted()
        codes = check_array(X, dtype=np.float32, input_name="codes", force_writeable=True)
        if codes.shape[1] != self._n_features_out:
            raise UserError(
                f"The codes have {codes.shape[1]} numbers, but this model's have "
                f"{self._n_features_out}; give codes that transform made."
            )
        made = decode(home.run.decoder, torch.from_numpy(codes), home.run.settings.precision)
        return self._form.restore(home.run.in_units(made))

    def sample(
        self,
        n_samples: int = 1,
        *,
        seed: int = 0,
        label: int | str | None = None,
        prior: str | None = None,
        temperature: float = 1.0,
    ) -> NDArray[Any]:
        """Make new examples; sample j of a seed is the same however many are made.

        Args:
            n_samples: how many.
            seed: which sequence of samples.
            label: only examples of this label, one of those given to `fit`.
            prior: name of another prior, which is fitted first if need be.
            temperature: factor of the prior's spread; below 1: more typical, less varied.

        Raises:
            UserError: there is no such label or prior.
        """
        home = self._fitted()
        if prior is not None and not home.run.has_prior(prior):
            home.run.fit_prior(prior)
        made = home.run.sample(
            n_samples,
            seed=seed,
            temperature=temperature,
            prior=prior,
            label=None if label is None else str(label),
        )
        return self._form.restore(made)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`: higher is better, 0 is best."""
        return float(self.score_samples(X).mean())

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return the negative squared error of each example under the code that is found for it.

        A mean over what is known of the example, in the units of `summary_["mse"]`. How likely a
        code is says `prior_.log_prob`, for priors that have a density.

        Args:
            X: (n, ...), as for `transform`.

        Returns:
            (n,), at most 0.
        """
        error = MSELoss()
        parts = [
            error(found.reconstructions.cpu(), target, observed)
            for _, target, observed, found in self._search(X)
        ]
        return -torch.cat(parts).double().numpy()

    def save(self, folder: str | Path) -> None:
        """Copy the run to a new folder, which `load` and all commands of `glo` open.

        Raises:
            UserError: there is something in the folder.
        """
        home = self._fitted()
        home.copy_to(Path(folder))
        seed = home.run.settings.seed
        write_about(Path(folder), self.get_params(deep=False), seed, self._form)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _search(self, X: Any) -> Iterator[Any]:
        home = self._fitted()
        array = taken(self, X, reset=False)
        samples = array if isinstance(array, Dataset) else self._form.samples(array)
        return home.search(samples)


def load(folder: str | Path, *, decoder: DecoderLike | None = None) -> GLO:
    """Open a run folder, made by `GLO.save` or by `glo train`, as a fitted estimator.

    The data are not needed. It decodes on the best device of this machine.

    Args:
        folder: its path.
        decoder: the class of its decoder, if that is none of this package.

    Raises:
        UserError: it is no run folder, the run is not finished, or its decoder is of a class that
            was not given.

    Example:
        >>> load("no/such/run")
        Traceback (most recent call last):
        glo.errors.UserError: no/such/run is not a run folder: it does not exist; give the folder \
that glo train named.
    """
    run = open_run(folder, decoder=decoder)
    own = run.decoder_class
    if not run.checkpoint.finished or run.summary is None:
        raise UserError(f"{folder} is not finished; run the command that began it again.")
    params, form = read_about(run)
    model = GLO(**params)
    model.set_params(device="auto")
    if own is not None:
        model.set_params(decoder=own)
    model._form, model._home = form, RunStore(Path(folder), device="auto", decoder=own)
    model._n_features_out = run.settings.code_dim
    model.n_features_in_ = int(np.prod(form.shape))
    return model
