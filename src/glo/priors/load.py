"""Priors by name, and priors from disk."""

from pathlib import Path
from typing import Any, get_args

import torch

from glo.errors import UserError, suggest
from glo.latents.constraints import Constraint
from glo.priors.base import Prior
from glo.priors.flow_matching import FlowMatchingPrior
from glo.priors.gaussian import GaussianPrior
from glo.priors.imle import IMLEPrior
from glo.priors.mixture import MixturePrior
from glo.priors.normalizing_flow import NormalizingFlowPrior
from glo.priors.serialization import read_tensors_with_checksum

__all__ = ["build_prior", "load_prior"]

_PRIORS: dict[str, type[Prior]] = {
    GaussianPrior.name: GaussianPrior,
    MixturePrior.name: MixturePrior,
    FlowMatchingPrior.name: FlowMatchingPrior,
    NormalizingFlowPrior.name: NormalizingFlowPrior,
    IMLEPrior.name: IMLEPrior,
}


def build_prior(name: str, *, constraint: Constraint = "free", **config: Any) -> Prior:
    """Return an unfitted prior by its name.

    Args:
        name: gaussian, mixture, flow-matching, normalizing-flow or imle.
        constraint: what holds for the codes that it will be fitted on.
        config: other keyword arguments of that prior; unset: its defaults.

    Raises:
        UserError: there is no prior of that name.

    Example:
        >>> build_prior("mixture", constraint="ball").config
        {'constraint': 'ball', 'components': None, 'ridge': 0.001}
        >>> build_prior("mixtrue")
        Traceback (most recent call last):
        glo.errors.UserError: There is no prior 'mixtrue'; choose one of gaussian, mixture, \
flow-matching, normalizing-flow, imle. Did you mean 'mixture'?
    """
    if name not in _PRIORS:
        names = ", ".join(_PRIORS)
        raise UserError(
            f"There is no prior '{name}'; choose one of {names}.{suggest(name, _PRIORS)}"
        )
    return _PRIORS[name](constraint=constraint, **config)


def load_prior(folder: Path, name: str = "gaussian") -> Prior:
    """Read the prior called `name` that was saved in `folder`.

    Raises:
        UserError: there is none of that name, or its file is damaged.
    """
    path = folder / f"{name}.safetensors"
    if name not in _PRIORS or not path.is_file():
        there = [known for known in _PRIORS if (folder / f"{known}.safetensors").is_file()]
        raise UserError(f"{folder} has no prior '{name}'; it has {', '.join(there) or 'none'}.")
    try:
        about, state = read_tensors_with_checksum(path)
    except UserError as error:
        reason = str(error).rstrip(".")
        raise UserError(f"{path} cannot be read as a prior ({reason}); fit it again.") from None
    try:
        # Files of version 0.1.0 name the constraint alone.
        config = about.get("config") or {"constraint": about["constraint"]}
        prior = _PRIORS[about["name"]](**config).load_state_dict(state)
        _try(prior)
    except UserError:
        # A library that is not installed: the file is whole.
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} cannot be read as a prior ({reason}); fit it again.") from None
    return prior


def _try(prior: Prior) -> None:
    """Draw one sample: tensors that do not fit each other are found out here, not by a user."""
    if prior.constraint not in get_args(Constraint):
        raise ValueError(f"its constraint is {prior.constraint!r}")
    drawn = prior.from_noise(torch.zeros(1, prior.noise_dim), temperature=1.0)
    if drawn.ndim != 2 or len(drawn) != 1 or not bool(torch.isfinite(drawn).all()):
        raise ValueError("it draws what is no code")
