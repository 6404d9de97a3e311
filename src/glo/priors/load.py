"""Priors from disk."""

from pathlib import Path

from safetensors import SafetensorError

from glo.errors import UserError
from glo.priors.base import Prior, read_prior
from glo.priors.gaussian import GaussianPrior

__all__ = ["load_prior"]

_PRIORS: dict[str, type[Prior]] = {GaussianPrior.name: GaussianPrior}


def load_prior(folder: Path, name: str = "gaussian") -> Prior:
    """Read the prior called `name` that was saved in `folder`.

    Raises:
        UserError: there is none of that name, or its file is damaged.
    """
    path = folder / f"{name}.safetensors"
    if name not in _PRIORS or not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "none"
        raise UserError(f"{folder} has no prior '{name}'; it has {there}.")
    try:
        about, state = read_prior(path)
        return _PRIORS[about["name"]](**about["config"]).restore(state)
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} cannot be read as a prior ({reason}); fit it again.") from None
