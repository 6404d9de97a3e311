"""Parameters of the estimator: their settings, and the file that stores them in a run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from glo.config.settings import Settings
from glo.decoders import decoder_name
from glo.errors import UserError
from glo.estimator.example_format import ExampleFormat
from glo.runs.run import Run
from glo.utils.json_toml import read_json, write_json

__all__ = ["read_parameters", "settings_of", "write_parameters"]

_FILE = "estimator.json"
# Settings that are parameters of the estimator under their own names; `random_state` is `seed`.
_SETTINGS = (
    "code_dim", "epochs", "batch_size", "width", "decoder", "loss", "constraint", "init",
    "decoder_lr", "code_lr", "refine_passes", "prior", "precision", "device",
)  # fmt: skip

# Parameters of the estimator alone.
_OWN = ("size", "contamination")


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Return the settings of a run for an estimator's parameters.

    A parameter other than its default wins over the same setting in `settings`.

    Args:
        params: parameters by name.

    Raises:
        UserError: a value cannot be used.

    Example:
        >>> params = {"code_dim": np.int64(3), "random_state": 7, "settings": {"warmup": 0.1}}
        >>> settings = settings_of(params)
        >>> settings.code_dim, settings.seed, settings.warmup
        (3, 7, 0.1)
    """
    more = params.get("settings") or {}
    values = dict(more.to_dict() if isinstance(more, Settings) else more)
    # `size` is the estimator's own: images are resized before and after the run.
    values.pop("size", None)
    named = {name: params[name] for name in _SETTINGS if name in params}
    named |= _validation(params)
    state = params.get("random_state", 0)
    whole = isinstance(state, int | np.integer)
    named["seed"] = state if whole else check_random_state(state).randint(2**31 - 1)
    defaults = Settings()
    values |= {
        name: value
        for name, value in named.items()
        if name not in values or not _same(value, getattr(defaults, name))
    }
    return Settings.from_mapping(_plain(values), where="GLO")


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def write_parameters(
    folder: Path, params: Mapping[str, Any], seed: int, form: ExampleFormat
) -> None:
    """Write an estimator's parameters and the format of its examples into its run folder."""
    more = params["settings"] or {}
    others = more.to_dict() if isinstance(more, Settings) else dict(more)
    stored = {name: params[name] for name in (*_SETTINGS, *_OWN)} | {
        "random_state": seed,
        "settings": {**others, **_validation(params)},
    }
    write_json(folder / _FILE, {"params": _plain(stored), "form": form.to_dict()})


def read_parameters(run: Run) -> tuple[dict[str, Any], ExampleFormat]:
    """Return the stored parameters and format, or those of a run of the command line.

    Raises:
        UserError: the file is damaged.
    """
    path = run.folder / _FILE
    if not path.is_file():
        values = run.settings.to_dict()
        params = {name: getattr(run.settings, name) for name in _SETTINGS}
        more = {n: v for n, v in values.items() if n not in (*_SETTINGS, "seed", "size")}
        params |= {"random_state": run.settings.seed, "settings": more}
        return params, ExampleFormat.of_run(run)
    try:
        about = read_json(path)
        params = dict(about["params"])
        params["settings"] = params["settings"] or None
        if unknown := params.keys() - {*_SETTINGS, *_OWN, "random_state", "settings"}:
            raise ValueError(f"it names {', '.join(sorted(unknown))}")
        # Raises for values that no run can have, in the name of this file.
        settings_of(params)
        return params, ExampleFormat.from_dict(about["form"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it to load the run.") from None


def _validation(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `validation` as a setting where it is a fraction; examples are no setting."""
    value = params.get("validation")
    return {"validation": value} if isinstance(value, float | int | np.number) else {}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    # A custom decoder is stored by its name.
    if callable(value):
        return decoder_name(value)
    # Parameter grids give NumPy scalars.
    return value.item() if isinstance(value, np.generic) else value
