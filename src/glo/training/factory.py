"""What the settings mean for one run: its decoder, how its codes move, its rates over time."""

from typing import Any

import torch
from torch import Tensor

from glo.config.settings import Settings
from glo.data import Dataset, Standardizer
from glo.decoders import Decoder, DecoderLike
from glo.errors import UserError
from glo.latents.optim import RowAdam, RowOptimizer, RowSGD
from glo.latents.table import LatentCodes
from glo.losses import Loss, parse_loss
from glo.utils.row_store import IN_MEMORY, RowStore

__all__ = [
    "code_optimizer",
    "code_row",
    "decoder_config",
    "load_standardizer",
    "prior_config",
    "prior_name",
    "store_standardizer",
    "training_loss",
]

_FLOW_ROWS = 5000
_FEWEST_STEPS, _MOST_STEPS = 100, 2500


def decoder_config(
    samples: Dataset, settings: Settings, own: DecoderLike | None = None
) -> dict[str, object]:
    """Return the configuration of the decoder that fits the data and the settings.

    Args:
        samples: the data.
        settings: the recipe.
        own: the class of a decoder that is none of this package.

    Raises:
        UserError: the decoder makes no such examples.
    """
    if own is not None:
        return {
            "name": "custom",
            "code_dim": settings.code_dim,
            "shape": list(samples.shape),
            "width": settings.width,
            "standardized": samples.standardizer is not None,
        }
    name = settings.decoder or ("dcgan" if samples.is_images else "mlp")
    if samples.is_images == (name == "mlp"):
        kind, other = ("images", "dcgan") if samples.is_images else ("vectors", "mlp")
        raise UserError(f"decoder '{name}' cannot make {kind}; use decoder '{other}'.")
    config: dict[str, object] = {
        "name": name,
        "code_dim": settings.code_dim,
        "shape": list(samples.shape),
    }
    if name in ("dcgan", "residual"):
        config["width"] = settings.width
    elif name == "mlp":
        config["hidden"] = [4 * settings.width] * 2
        if samples.standardizer is not None:
            config["standardized"] = True
    return config


def store_standardizer(decoder: Decoder, samples: Dataset) -> None:
    """Let a new decoder keep the columns that its data are standardised with, if any."""
    if samples.standardizer is not None and decoder.standardized:
        decoder.shift.copy_(samples.standardizer.shift)
        decoder.scale.copy_(samples.standardizer.scale)


def load_standardizer(decoder: Decoder) -> Standardizer | None:
    """Return the columns that a decoder's data were standardised with, or None: as they are.

    Example:
        >>> from glo.decoders import MLP
        >>> load_standardizer(MLP(code_dim=1, shape=(2,), standardized=True))
        Standardizer(shift=tensor([0., 0.]), scale=tensor([1., 1.]))
    """
    if decoder.standardized:
        return Standardizer(decoder.shift.cpu(), decoder.scale.cpu())
    return None


def prior_name(settings: Settings, n: int) -> str:
    """Return the name of the prior that a run of `n` examples is sampled from.

    A field has thousands of weights to learn from the codes. Where those are few a mixture, whose
    number of components is chosen by held-out likelihood, says as much as can be said.

    Example:
        >>> prior_name(Settings(), 60_000), prior_name(Settings(), 500)
        ('flow-matching', 'mixture')
    """
    return settings.prior or ("flow-matching" if n >= _FLOW_ROWS else "mixture")


def prior_config(name: str, settings: Settings, n: int) -> dict[str, Any]:
    """Return the keyword arguments of a prior for the codes of such a run.

    A field learns as long as that pays, but for less time than the decoder did: an update of it
    costs about as much as 300 images in the smallest decoder.

    Example:
        >>> prior_config("flow-matching", Settings(epochs=2), 60_000)
        {'constraint': 'ball', 'steps': 200}
    """
    config: dict[str, Any] = {"constraint": settings.constraint}
    if name == "flow-matching":
        images = settings.epochs_for(n) * n
        config["steps"] = min(max(images // 600, _FEWEST_STEPS), _MOST_STEPS)
    return config


def code_optimizer(
    settings: Settings,
    latents: LatentCodes,
    store: RowStore = IN_MEMORY,
    *,
    state: dict[str, Tensor] | None = None,
) -> RowOptimizer:
    """Return the optimizer of the codes.

    Args:
        settings: `code_optimizer`, `code_lr`, `code_betas`.
        latents: codes to move.
        store: storage of the row state.
        state: row state to continue from; None: zeros.
    """
    optimizer: RowOptimizer
    if settings.code_optimizer == "sgd":
        optimizer = RowSGD(latents.parameters(), lr=settings.code_lr, store=store)
    else:
        optimizer = RowAdam(
            latents.parameters(), lr=settings.code_lr, betas=settings.code_betas, store=store
        )
    if state is not None:
        optimizer.state[latents.weight] = state
    return optimizer


def code_row(settings: Settings) -> dict[str, Tensor]:
    """Return one code and its optimizer state as zeros, (1, ...) each, by name.

    Example:
        >>> {name: value.shape for name, value in code_row(Settings(code_dim=4)).items()}
        {'codes': torch.Size([1, 4]), 'exp_avg_sq': torch.Size([1, 4]), 'step': torch.Size([1])}
    """
    latents = LatentCodes(torch.zeros(1, settings.code_dim))
    state = code_optimizer(settings, latents).row_state()
    return {"codes": latents.weight.detach(), **state}


def training_loss(settings: Settings) -> Loss:
    """Return the loss of a run, by which the codes of examples it did not see are found too.

    Raises:
        UserError: it cannot be read, or the network of its features cannot be had.

    Example:
        >>> training_loss(Settings(loss="l1"))
        L1Loss()
    """
    return parse_loss(settings.loss, features=settings.features)
