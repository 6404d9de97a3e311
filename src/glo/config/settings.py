"""Settings of a run: the single declaration of their types, defaults, ranges and help texts.

The command line, TOML files, `SourceOptions`, the keywords of `GLO` and the tables of the
documentation follow from it. The command line has priority over the TOML file, the file over the
preset, and the preset over the defaults; the merged result is saved with the run.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from glo.errors import UserError, suggest

__all__ = ["Settings", "allowed_values", "check_settings"]

# With `epochs` unset a run makes at least this many passes and steps: small data sets need more
# passes. Tables have far fewer numbers than images: more steps overfit, and impute worse.
MIN_EPOCHS = 12
MIN_STEPS = 3000
MIN_STEPS_OF_VECTORS = 800
_DECODERS = ("dcgan", "residual", "tensorlayer", "mlp")
# Classes in functions have such names, too.
_CLASS = re.compile(r"[\w.]+:[\w.<>]+")


def option(
    group: str,
    default: Any,
    help: str,
    *,
    min: float = -math.inf,
    max: float = math.inf,
    flag: str | None = None,
) -> Any:
    """Declare a setting, whose name on the command line is `flag` where it is another one."""
    metadata = {"group": group, "help": help, "min": min, "max": max, "flag": flag}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a run; the defaults are the benchmarks' choice.

    Raises:
        UserError: a value has the wrong type or is out of range.

    Example:
        >>> Settings(epochs=8).code_dim
        32
        >>> Settings(width=3)
        Traceback (most recent call last):
        glo.errors.UserError: width is 3; it must be an integer from 4 to 1024.
    """

    size: int | None = option(
        "Data", None, "Side of the square images in pixels; unset: from the data.", min=2, max=8192
    )
    channels: Literal[1, 3] | None = option(
        "Data", None, "1 for grey, 3 for colour; unset: as the data are."
    )
    crop: Literal["center", "pad", "stretch"] = option(
        "Data", "center", "Conversion of rectangles to squares: center crop, pad, or stretch."
    )
    pixel_range: tuple[float, float] | None = option(
        "Data",
        None,
        "Values of black and white in the source, such as 0 4095; unset: from the data.",
        min=-1e38,
        max=1e38,
    )
    limit: int | None = option(
        "Data", None, "Number of examples to use, the first ones; unset: all.", min=1
    )

    decoder: str | None = option(
        "Decoder",
        None,
        "Network from codes to examples: dcgan, residual (colour images), tensorlayer, mlp, or "
        "your own class as module:Class; unset: dcgan for images, mlp for vectors.",
    )
    width: int = option(
        "Decoder",
        64,
        "Channels of the map of half the image's side (dcgan, residual); a quarter of a hidden "
        "layer (mlp).",
        min=4,
        max=1024,
    )
    loss: str = option(
        "Decoder", "mse", "mse, l1, lap1, features, or a weighted sum such as 'lap1+0.1*features'."
    )
    features: str = option(
        "Decoder",
        "efficientnet",
        "Network of the loss 'features': efficientnet, or a TorchScript file.",
    )

    code_dim: int = option("Codes", 32, "D, number of dimensions of a code.", min=1, max=65536)
    init: Literal["pca", "gaussian"] = option(
        "Codes", "pca", "Initial codes: whitened principal components of each example, or random."
    )
    gaussian_std: float = option(
        "Codes", 1.0, "Standard deviation of gaussian initial codes.", min=1e-6, max=1e3
    )
    constraint: Literal["ball", "sphere", "free"] = option(
        "Codes", "ball", "Constraint of codes: |z| <= 1 (ball), |z| = 1 (sphere), or free."
    )
    project_every: Literal["step", "epoch"] = option(
        "Codes", "step", "Projection onto the constraint: after every step, or epoch."
    )

    start: str | None = option(
        "Training",
        None,
        "Run folder whose decoder the training begins with, where shape, code size and decoder are "
        "the same; unset: a new decoder.",
        flag="--from",
    )
    epochs: int | None = option(
        "Training",
        None,
        "Passes over the data; unset: 12, and more for small data sets (at least 3000 steps, for "
        "vectors 800).",
        min=1,
    )
    batch_size: int = option("Training", 128, "B, number of examples in a step.", min=1, max=2**20)
    shuffle: bool = option("Training", True, "Shuffle the examples anew every epoch.")
    shuffle_buffer: int = option(
        "Training",
        0,
        "Number of examples shuffled together, in runs of 1024 neighbours; 0: all. For data and "
        "codes in files: consecutive batches then read nearby rows.",
        min=0,
    )
    shards: int | None = option(
        "Training",
        None,
        "Groups of rows that contribute equally to every batch; unset: the number of processes. "
        "One process with R shards visits the same rows in the same steps as R processes.",
        min=1,
        max=65536,
    )
    drop_last: bool = option(
        "Training",
        False,
        "Drop the last partial batch of an epoch; unshuffled, its codes never train.",
    )
    code_grad_reduction: Literal["row", "mean"] = option(
        "Training", "row", "Gradient of a code: of its own loss (row), or divided by B (mean)."
    )
    decoder_optimizer: Literal["muon", "adam", "sgd"] = option(
        "Training", "muon", "Optimizer of the decoder; muon: for its matrices, adam for the rest."
    )
    decoder_lr: float = option(
        "Training", 4e-3, "Peak learning rate of the decoder.", min=0.0, max=1e3
    )
    decoder_betas: tuple[float, float] = option(
        "Training", (0.5, 0.999), "Decay of Adam's two moments, decoder.", min=0.0, max=0.999999
    )
    code_optimizer: Literal["adam", "sgd"] = option(
        "Training", "adam", "Optimizer of the codes; each row has its own moments and step count."
    )
    code_lr: float = option("Training", 0.015, "Peak learning rate of the codes.", min=0.0, max=1e6)
    code_betas: tuple[float, float] = option(
        "Training", (0.0, 0.9), "Decay of Adam's two moments, codes.", min=0.0, max=0.999999
    )
    schedule: Literal["linear", "cosine", "constant"] = option(
        "Training", "linear", "Schedule of both learning rates: a fall to 0, or constant."
    )
    warmup: float = option(
        "Training", 0.0, "Fraction of steps in which learning rates rise from 0.", min=0.0, max=1.0
    )
    ema_decay: float = option(
        "Training",
        0.0,
        "Decay of a moving average that replaces the decoder; 0: none.",
        min=0.0,
        max=0.999999,
    )
    refine_passes: int = option(
        "Training",
        3,
        "Quasi-Newton steps on all codes with the final decoder frozen.",
        min=0,
        max=10_000,
    )

    validation: float | str | None = option(
        "Training",
        None,
        "Examples held out of training, whose error is measured meanwhile: a fraction of the rows "
        "such as 0.05, or the path of others; unset: none.",
    )
    patience: int | None = option(
        "Training",
        None,
        "Stop after so many checks of the held-out error without improvement, and end with the "
        "decoder and codes of the best one; unset: train to the end. Needs validation.",
        min=1,
    )

    prior: Literal["gaussian", "mixture", "flow-matching", "normalizing-flow", "imle"] | None = (
        option(
            "Prior",
            None,
            "Density fitted to the codes at the end, for sampling; unset: flow-matching from 5,000 "
            "examples on, else mixture.",
        )
    )

    encoder: Literal["auto", "on", "off"] = option(
        "Encoder",
        "auto",
        "Fit of an encoder to the codes at the end, where searches for codes begin: on, off, or "
        "auto, from 2,000 examples on.",
    )

    precision: Literal["auto", "float32", "bf16"] = option(
        "Machine", "auto", "Arithmetic of the decoder; codes and weights are float32."
    )
    device: str = option("Machine", "auto", "auto, cpu, cuda, cuda:1, mps.")
    compile: bool = option(
        "Machine",
        False,
        "Train a compiled decoder (torch.compile); no gain on the measured processor. Needs a C++ "
        "compiler and a single process.",
    )
    seed: int = option("Machine", 0, "Seed of everything random.", min=0, max=2**63 - 1)
    checkpoint_seconds: float = option(
        "Machine",
        60.0,
        "Seconds between checkpoints; another at the end and on an interrupt.",
        min=0.0,
    )
    code_memory_gib: float | None = option(
        "Machine",
        None,
        "GiB of memory for the codes and moments of a process; larger ones are memory-mapped files "
        "of the run folder during training. Unset: all in memory.",
        min=0.0,
    )

    def __post_init__(self) -> None:
        for name, value in check_settings(vars(self)).items():
            object.__setattr__(self, name, value)

    def steps_per_epoch(self, n: int) -> int:
        """Return the number of batches in one pass over `n` examples."""
        full, rest = divmod(n, self.batch_size)
        return full if self.drop_last and full else full + (rest > 0)

    def epochs_for(self, n: int) -> int:
        """Return the number of passes over `n` examples.

        Example:
            >>> Settings().epochs_for(60_000), Settings().epochs_for(256)
            (12, 1500)
            >>> Settings(decoder="mlp").epochs_for(256)
            400
        """
        if self.epochs is not None:
            return self.epochs
        steps = MIN_STEPS_OF_VECTORS if self.decoder == "mlp" else MIN_STEPS
        return max(MIN_EPOCHS, math.ceil(steps / self.steps_per_epoch(n)))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that are set, tuples as lists, ready for JSON or TOML."""
        pairs = dataclasses.asdict(self).items()
        return {k: list(v) if isinstance(v, tuple) else v for k, v in pairs if v is not None}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, where: str = "") -> Self:
        """Build settings from names and values, such as a parsed TOML file.

        Args:
            values: setting names to values; a list may stand for a tuple.
            where: origin of the values for messages.

        Raises:
            UserError: an unknown name, or a value of the wrong type or out of range.
        """
        return cls(**check_settings(values, where=where))


def check_settings(values: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """Return settings with lists converted to tuples and integers to floats where declared so.

    Raises:
        UserError: an unknown name, or a value of the wrong type or out of range.
    """
    result = {}
    prefix = f"{where}: " if where else ""
    hints = _hints()
    for name, value in values.items():
        if name not in hints:
            raise UserError(f"{prefix}there is no setting '{name}'.{suggest(name, hints)}")
        try:
            result[name] = _convert(name, value)
        except ValueError:
            near = suggest(value, map(str, _choices(name))) if isinstance(value, str) else ""
            raise UserError(
                f"{prefix}{name} is {value!r}; it must be {allowed_values(name)}.{near}"
            ) from None
    return result


def allowed_values(name: str) -> str:
    """Return a phrase for the values that a setting may have."""
    kind = _kind(name)
    if name == "validation":
        return "a fraction above 0 and below 1, or a path"
    if choices := _choices(name):
        more = ", or a class as module:Class" if name == "decoder" else ""
        return f"one of {', '.join(map(str, choices))}{more}"
    if kind in (str, bool):
        return "a string" if kind is str else "true or false"
    words = {int: "an integer", float: "a number"}.get(kind, "two numbers")
    about = Settings.__dataclass_fields__[name].metadata
    low, high = about["min"], about["max"]
    return f"{words} of at least {low}" if high == math.inf else f"{words} from {low} to {high}"


def _convert(name: str, value: Any) -> Any:
    """Return a value as its setting declares; raise ValueError if it is not allowed."""
    kind = _kind(name)
    if value is None and NoneType in get_args(_hints()[name]):
        return None
    if name == "validation":
        return _fraction_or_path(value)
    if choices := _choices(name):
        own_class = name == "decoder" and isinstance(value, str) and _CLASS.fullmatch(value)
        if not own_class and (value not in choices or isinstance(value, bool)):
            raise ValueError
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError
        return tuple(_number(name, each, float) for each in value)
    if kind in (int, float):
        return _number(name, value, kind)
    if not isinstance(value, kind):
        raise ValueError
    return value


def _fraction_or_path(value: Any) -> float | str:
    if isinstance(value, str | Path):
        value = str(value)
        # The command line gives strings.
        with suppress(ValueError):
            value = float(value)
    is_path = isinstance(value, str) and value != ""
    if not is_path and not (isinstance(value, float) and 0 < value < 1):
        raise ValueError
    result: float | str = value
    return result


def _number(name: str, value: Any, kind: type) -> Any:
    about = Settings.__dataclass_fields__[name].metadata
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise ValueError
    # NaN is in no range.
    if not about["min"] <= value <= about["max"] or value == math.inf:
        raise ValueError
    return kind(value)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Settings)


def _kind(name: str) -> Any:
    """Return the type of a setting that is set."""
    hint = _hints()[name]
    optional = NoneType in get_args(hint)
    return next(each for each in get_args(hint) if each is not NoneType) if optional else hint


def _choices(name: str) -> tuple[Any, ...]:
    kind = _kind(name)
    return _DECODERS if name == "decoder" else get_args(kind) if get_origin(kind) is Literal else ()
