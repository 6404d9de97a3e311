"""Priors by name and on disk: safetensors files with a description and a checksum."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from glo.errors import UserError, suggest
from glo.latents.constraints import Constraint
from glo.priors.base import Prior
from glo.priors.flow_matching import FlowMatchingPrior
from glo.priors.gaussian import GaussianPrior
from glo.priors.imle import IMLEPrior
from glo.priors.mixture import MixturePrior
from glo.priors.normalizing_flow import NormalizingFlowPrior
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import Header, check_finite, read_header, read_tensors, write_tensors
from glo.utils.torch_defaults import with_torch_defaults

__all__ = [
    "build_prior",
    "load_prior",
    "read_tensors_with_checksum",
    "save_prior",
    "write_tensors_with_checksum",
]

# Upper bound of the blocks of a network and of the steps of an integration.
_MAX_BLOCKS = 256
_PRIORS: dict[str, type[Prior]] = {
    "gaussian": GaussianPrior,
    "mixture": MixturePrior,
    "flow-matching": FlowMatchingPrior,
    "normalizing-flow": NormalizingFlowPrior,
    "imle": IMLEPrior,
}


def build_prior(name: str, *, constraint: Constraint = "free", **config: Any) -> Prior:
    """Return an unfitted prior by its name.

    Args:
        name: gaussian, mixture, flow-matching, normalizing-flow or imle.
        constraint: constraint of the codes.
        config: other keyword arguments of that prior.

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


def save_prior(prior: Prior, folder: Path) -> Path:
    """Write a prior to `folder`/`name`.safetensors, atomically, and return the path."""
    description: dict[str, Any] = {"name": prior.name, "config": prior.config}
    path = folder / f"{prior.name}.safetensors"
    return write_tensors_with_checksum(path, description, prior.state_dict())


@with_torch_defaults
def load_prior(folder: Path, name: str = "gaussian") -> Prior:
    """Read the prior called `name` from a folder.

    Raises:
        UserError: the folder has no such prior, or its file is damaged.
    """
    path = folder / f"{name}.safetensors"
    if name not in _PRIORS or not path.is_file():
        saved = [known for known in _PRIORS if (folder / f"{known}.safetensors").is_file()]
        raise UserError(f"{folder} has no prior '{name}'; it has {', '.join(saved) or 'none'}.")
    try:
        description, state = read_tensors_with_checksum(path)
    except UserError as error:
        reason = str(error).rstrip(".")
        raise UserError(f"{path} cannot be read as a prior ({reason}); fit it again.") from None
    try:
        prior = _PRIORS[description["name"]](**description["config"]).load_state_dict(state)
        if prior.constraint not in get_args(Constraint):
            raise ValueError(f"its constraint is {prior.constraint!r}")
        # Tensors whose shapes do not fit each other fail here, and not at the first sample.
        sample = prior.from_noise(torch.zeros(1, prior.noise_dim), temperature=1.0)
        if sample.ndim != 2 or len(sample) != 1 or not bool(torch.isfinite(sample).all()):
            raise ValueError("its samples are not finite codes")
    except UserError:
        # An optional library is missing; the file is intact.
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} cannot be read as a prior ({reason}); fit it again.") from None
    return prior


def write_tensors_with_checksum(
    path: Path, description: dict[str, Any], state: dict[str, Tensor]
) -> Path:
    """Write tensors and their JSON description to `path`, atomically, and return the path."""
    metadata = {"prior": json.dumps(description), "seal": _checksum(description, state)}
    with atomic_write(path) as temporary:
        write_tensors(temporary, state, metadata)
    return path


def read_tensors_with_checksum(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors of a file.

    The checksum detects damage, not malice: anyone can compute it for a forged file, so callers
    check the contents further.

    Raises:
        UserError: the file cannot be read, differs from its checksum, describes a network larger
            than the file, or contains NaN or infinity.
    """
    header = read_header(path)
    description = header.described("prior")
    _check_size(header, description.get("config"))
    state = read_tensors(path)
    if any(tensor.dtype == torch.bfloat16 for tensor in state.values()):
        raise UserError(f"{path} contains bfloat16, which no prior uses.")
    if header.about.get("seal") != _checksum(description, state):
        raise UserError(f"{path} was edited: it differs from its checksum.")
    check_finite(path, state)
    return description, state


def _check_size(header: Header, config: object) -> None:
    """Check that the network described is no larger than the file, and its depth is bounded.

    A network of width W and L blocks on codes of D numbers has at least W (D + L W) weights here.
    """
    if config is None:
        return
    if not isinstance(config, dict):
        raise UserError(f"{header.path} has no valid description.")
    width, blocks = config.get("width", 0), config.get("blocks", config.get("layers", 0))
    numbers = (width, blocks, config.get("integration", 1))
    _, shape = header.tensors.get("whitening.mean", (None, ()))
    dim = math.prod(shape)
    if not all(type(number) is int and number >= 0 for number in numbers) or (
        max(numbers[1:]) > _MAX_BLOCKS or width * (dim + blocks * width) > header.count
    ):
        raise UserError(
            f"{header.path} describes a network of {blocks} blocks of width {width}, and contains "
            f"{header.count:,} numbers."
        )


def _checksum(description: dict[str, Any], state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
