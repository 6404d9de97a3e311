"""What a fitted estimator has, and what is written beside its run to make it again."""

from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from glo.config.settings import Settings
from glo.decoders import Decoder, decoder_name
from glo.errors import UserError
from glo.estimator.example_format import ExampleFormat
from glo.estimator.run_store import RunStore
from glo.priors import Prior
from glo.runs.run import Run
from glo.utils.json_toml import read_json, write_json

__all__ = ["Fitted", "chosen_settings", "read_about", "write_about"]

_FILE = "estimator.json"
# Keywords of the estimator that are no settings of a run, or not under their own name.
_NO_SETTINGS = ("size", "random_state", "run", "more")
_NOT_WRITTEN = ("random_state", "run")


class Fitted(ABC):
    """Learned state, read from the run that an estimator lives in.

    Raises:
        NotFittedError: there is none yet.
    """

    _home: RunStore
    _form: ExampleFormat

    @property
    def codes_(self) -> NDArray[np.float32]:
        """The codes, (N, D)."""
        return self._fitted().run.codes.numpy()

    @property
    def decoder_(self) -> Decoder:
        """The network, in evaluation mode."""
        return self._fitted().run.decoder

    @property
    def prior_(self) -> Prior:
        """The prior that `sample` draws from."""
        return self._fitted().run.prior()

    @property
    def summary_(self) -> dict[str, Any]:
        """What came out of the training."""
        summary = self._fitted().run.summary
        assert summary is not None, "a finished run has a summary"
        return summary

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_home")

    def _fitted(self) -> RunStore:
        if not hasattr(self, "_home"):
            raise NotFittedError("This GLO is not fitted yet; call fit(X), or glo.load(folder).")
        return self._home


def chosen_settings(params: Mapping[str, Any]) -> Settings:
    """Return the settings that an estimator's keywords stand for.

    Args:
        params: all keywords.

    Raises:
        UserError: a value cannot be used.

    Example:
        >>> params = {"code_dim": np.int64(3), "random_state": 7, "more": {"warmup": 0.1}}
        >>> found = chosen_settings(params)
        >>> found.code_dim, found.seed, found.warmup
        (3, 7, 0.1)
    """
    chosen = {name: value for name, value in params.items() if name not in _NO_SETTINGS}
    chosen |= params.get("more") or {}
    state = params.get("random_state")
    if state is not None:
        # A number is itself, so that random_state=3 and seed=3 are the same run.
        whole = isinstance(state, int | np.integer)
        chosen["seed"] = state if whole else check_random_state(state).randint(2**31 - 1)
    return Settings.from_mapping(_plain(chosen), where="GLO")


def write_about(folder: Path, params: Mapping[str, Any], seed: int, form: ExampleFormat) -> None:
    """Write an estimator's keywords and the form of its data into its run folder."""
    kept = {name: value for name, value in params.items() if name not in _NOT_WRITTEN}
    about = {"params": _plain(kept | {"seed": seed}), "form": form.to_dict()}
    write_json(folder / _FILE, about)


def read_about(run: Run) -> tuple[dict[str, Any], ExampleFormat]:
    """Return the keywords and the form that were written, or those of a run of the command line.

    Raises:
        UserError: the file is damaged.
    """
    path = run.folder / _FILE
    if not path.is_file():
        return _command_line(run), ExampleFormat.of_shape(run.data.shape)
    try:
        about = read_json(path)
        params = dict(about["params"])
        if more := params.keys() - {*_KEYWORDS, "device", "size", "more"}:
            raise ValueError(f"it names {', '.join(sorted(more))}")
        # Built in vain, so that what cannot be used is said of this file.
        chosen_settings(params)
        return params, ExampleFormat.from_dict(about["form"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it to load the run.") from None


def _command_line(run: Run) -> dict[str, Any]:
    more = {n: v for n, v in run.settings.to_dict().items() if n not in _KEYWORDS}
    return {n: getattr(run.settings, n) for n in _KEYWORDS} | {"more": more}


_KEYWORDS = (
    "code_dim",
    "epochs",
    "batch_size",
    "width",
    "decoder",
    "loss",
    "constraint",
    "init",
    "decoder_lr",
    "code_lr",
    "refine_passes",
    "prior",
    "precision",
    "seed",
)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if callable(value):
        return decoder_name(value)
    # Numbers of NumPy come out of parameter grids.
    return value.item() if isinstance(value, np.generic) else value
