"""What the settings mean for one run: its decoder, how its codes move, its rates over time."""

from typing import Any

from glo.config.settings import Settings
from glo.data import Dataset, Standardizer
from glo.decoders import Decoder, custom_config
from glo.errors import UserError
from glo.latents.optim import RowAdam, RowRule, RowSGD
from glo.losses import Loss, parse_loss

__all__ = [
    "code_optimizer_rule",
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
    samples: Dataset, settings: Settings, own: type[Decoder] | None = None
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
        base: dict[str, object] = {"code_dim": settings.code_dim, "shape": list(samples.shape)}
        if samples.columns is not None:
            base["standardised"] = True
        return custom_config(own, base, width=settings.width)
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
        if samples.columns is not None:
            config["standardised"] = True
    return config


def store_standardizer(decoder: Decoder, samples: Dataset) -> None:
    """Let a new decoder keep the columns that its data are standardised with, if any."""
    if samples.columns is not None and decoder.standardised:
        decoder.shift.copy_(samples.columns.shift)
        decoder.scale.copy_(samples.columns.scale)


def load_standardizer(decoder: Decoder) -> Standardizer | None:
    """Return the columns that a decoder's data were standardised with, or None: as they are.

    Example:
        >>> from glo.decoders import MLPDecoder
        >>> load_standardizer(MLPDecoder(code_dim=1, shape=(2,), standardised=True))
        Standardizer(shift=tensor([0., 0.]), scale=tensor([1., 1.]))
    """
    if decoder.standardised:
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


def code_optimizer_rule(settings: Settings) -> RowRule:
    """Return how a code moves under these settings."""
    return RowSGD() if settings.code_optimizer == "sgd" else RowAdam(settings.code_betas)


def training_loss(settings: Settings) -> Loss:
    """Return the loss of a run, by which the codes of examples it did not see are found too.

    Raises:
        UserError: it cannot be read, or the network of its features cannot be had.

    Example:
        >>> training_loss(Settings(loss="l1"))
        L1Loss()
    """
    return parse_loss(settings.loss, features=settings.features)
