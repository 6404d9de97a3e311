"""Presets: named settings. The first sentence of each has its result, data and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glo.errors import UserError, suggest

__all__ = ["PRESETS", "Preset", "find_preset", "recommend_preset"]

MAX_FEW_SHOT = 1000


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Preset: its expected result, and the settings that differ from the defaults."""

    about: str
    settings: dict[str, Any]


_COLOUR: dict[str, Any] = {
    "channels": 3,
    "decoder": "residual",
    "width": 32,
    "loss": "lap1",
    "code_dim": 64,
    "batch_size": 16,
    "code_lr": 0.03,
}

PRESETS: dict[str, Preset] = {
    "mnist": Preset(
        about=(
            "The default. MNIST: error 0.0044 after 12 epochs, 20 minutes on two cores "
            "(mean image 0.2465, PCA 0.0548)."
        ),
        settings={},
    ),
    "mnist-long": Preset(
        about="MNIST with 34 epochs in the place of 12; its result has not been measured yet.",
        settings={"epochs": 34},
    ),
    "colour-64": Preset(
        about=(
            "Emoji of 64 x 64: PSNR of unseen ones 21.1 dB after 11 epochs, 136 CPU seconds of one "
            "busy thread (PCA 19.3); unset, it trains for longer."
        ),
        settings={**_COLOUR, "size": 64},
    ),
    "colour-128": Preset(
        about=(
            "Emoji of 128 x 128: PSNR of unseen ones 21.0 dB after 13 epochs, 409 CPU seconds of "
            "one busy thread (PCA 18.8); unset, it trains for longer."
        ),
        settings={**_COLOUR, "size": 128},
    ),
    "few-shot": Preset(
        about=(
            "100 to 1,000 pictures. 112 emoji faces of 64 x 64: PSNR 23.8 dB on average, 13.9 for "
            "the worst, in 76 CPU seconds of one busy thread."
        ),
        settings={**_COLOUR, "size": 64, "code_dim": 16, "epochs": 60},
    ),
    "paper": Preset(
        about="The rates of the paper read as mean reductions: SGD 1 and 10, Gaussian codes, ball.",
        settings={
            "decoder_optimizer": "sgd",
            "decoder_lr": 1.0,
            "code_optimizer": "sgd",
            "code_lr": 10.0,
            "code_grad_reduction": "mean",
            "init": "gaussian",
            "schedule": "constant",
            "refine_passes": 0,
        },
    ),
    "tensorlayer-baseline": Preset(
        about="The TensorLayer project that stalls: codes freeze, MSE stays above the mean image.",
        settings={
            "limit": 50_000,
            "decoder": "tensorlayer",
            "batch_size": 512,
            "epochs": 25,
            "shuffle": False,
            "drop_last": True,
            "project_every": "epoch",
            "decoder_optimizer": "sgd",
            "decoder_lr": 1e-3,
            "code_optimizer": "sgd",
            "code_lr": 0.1,
            "code_grad_reduction": "mean",
            "init": "gaussian",
            "gaussian_std": 32**-0.5,
            "schedule": "constant",
            "refine_passes": 0,
        },
    ),
}


def find_preset(name: str) -> Preset:
    """Return the preset of a name."""
    if name not in PRESETS:
        names = ", ".join(PRESETS)
        raise UserError(f"There is no preset '{name}'; there are {names}.{suggest(name, PRESETS)}")
    return PRESETS[name]


def recommend_preset(shape: Sequence[int], n: int) -> str | None:
    """Return the preset for `n` examples of a shape, (C, H, W) or (F,); None: the default."""
    if len(shape) != 3 or shape[0] != 3:
        return None
    if n <= MAX_FEW_SHOT:
        return "few-shot"
    return "colour-128" if shape[1] >= 128 else "colour-64"
