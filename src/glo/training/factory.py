"""Factory of the parts of a run from its settings: decoder, optimizer of codes, prior and loss."""

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

_MIN_FLOW_ROWS = 5000
# Of flow matching; an update costs about as much as two thirds of a training step of digits.
_MIN_STEPS, _MAX_STEPS, _IMAGES_PER_STEP = 400, 10_000, 220


def decoder_config(
    samples: Dataset, settings: Settings, custom: DecoderLike | None = None
) -> dict[str, object]:
    """Return the configuration of the decoder that fits the data and the settings.

    Raises:
        UserError: the decoder does not make examples of that shape.
    """
    units: dict[str, object] = {}
    if samples.standardizer is not None:
        units["standardized"] = True
        if samples.standardizer.shift.dtype == torch.float64:
            units["float64"] = True
    if custom is not None:
        return {
            "name": "custom",
            "code_dim": settings.code_dim,
            "shape": list(samples.shape),
            "width": settings.width,
            **units,
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
        config |= {"hidden": [4 * settings.width] * 2, **units}
    return config


def store_standardizer(decoder: Decoder, samples: Dataset) -> None:
    """Copy the column means and deviations of the data into a new decoder, if any."""
    if samples.standardizer is not None and decoder.standardized:
        decoder.shift.copy_(samples.standardizer.shift)
        decoder.scale.copy_(samples.standardizer.scale)


def load_standardizer(decoder: Decoder) -> Standardizer | None:
    """Return the standardizer of a decoder's data, or None without one."""
    if decoder.standardized:
        return Standardizer(decoder.shift.cpu(), decoder.scale.cpu())
    return None


def prior_name(settings: Settings, n: int) -> str:
    """Return the name of the default prior of a run of `n` examples.

    Flow matching trains thousands of weights. For few codes a mixture, whose number of components
    is chosen by held-out likelihood, is as accurate.

    Example:
        >>> prior_name(Settings(), 60_000), prior_name(Settings(), 500)
        ('flow-matching', 'mixture')
    """
    return settings.prior or ("flow-matching" if n >= _MIN_FLOW_ROWS else "mixture")


def prior_config(name: str, settings: Settings, n: int) -> dict[str, Any]:
    """Return the keyword arguments of a prior for the codes of such a run.

    Flow matching trains in less time than the decoder: its updates grow with the images that the
    decoder was trained on.

    Example:
        >>> prior_config("flow-matching", Settings(epochs=2), 60_000)
        {'constraint': 'ball', 'steps': 545}
    """
    config: dict[str, Any] = {"constraint": settings.constraint}
    if name == "flow-matching":
        images = settings.epochs_for(n) * n
        config["steps"] = min(max(images // _IMAGES_PER_STEP, _MIN_STEPS), _MAX_STEPS)
    return config


def code_optimizer(
    settings: Settings,
    latents: LatentCodes,
    store: RowStore = IN_MEMORY,
    *,
    state: dict[str, Tensor] | None = None,
) -> RowOptimizer:
    """Build the optimizer of the codes, with row state in `store`, initially `state` if any."""
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
    """Build the loss of a run, also used to encode examples after training."""
    return parse_loss(settings.loss, features=settings.features)
