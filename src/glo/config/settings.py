"""Everything that can be chosen about a run, in one flat, frozen list.

The names are those of the command line (`--code-dim`) and of a TOML file (`code_dim = 32`). The
command line wins over the file, the file over the preset, the preset over the defaults below; the
merged result is saved with the run.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from glo.config.fields import checked
from glo.errors import UserError, suggest

__all__ = ["Settings"]

# A small data set needs more passes than a large one: with `epochs` unset a run makes at least
# this many passes and at least this many steps. Tables have far fewer numbers than images: more
# steps fit their noise, and what is missing in them is then filled worse.
_LEAST_EPOCHS = 25
_LEAST_STEPS = 3000
_LEAST_STEPS_OF_VECTORS = 800
_DECODERS = ("dcgan", "residual", "tensorlayer", "mlp")
# Classes within functions have such names, too.
_CLASS = re.compile(r"[\w.]+:[\w.<>]+")


def _option(group: str, default: Any, about: str) -> Any:
    return field(default=default, metadata={"group": group, "help": about})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a run; the defaults are the recipe that the benchmarks chose.

    Raises:
        UserError: a value is outside its range; the message names it and what is allowed.

    Example:
        >>> Settings(epochs=8).code_dim
        32
    """

    size: int | None = _option(
        "Data",
        None,
        "Side of the square images in pixels; unset: chosen from the data (32 for MNIST).",
    )
    channels: Literal[1, 3] | None = _option(
        "Data", None, "1 for grey, 3 for colour; unset: as the data are."
    )
    crop: Literal["center", "pad", "stretch"] = _option(
        "Data",
        "center",
        "How a rectangle becomes a square: cut the middle, pad the short side, or stretch.",
    )
    limit: int | None = _option("Data", None, "Use only the first so many examples; unset: all.")

    decoder: str | None = _option(
        "Decoder",
        None,
        "Network from codes to examples: dcgan, residual (colour images), tensorlayer, mlp, or "
        "module:Class of your own; unset: dcgan for images, mlp for vectors.",
    )
    width: int = _option(
        "Decoder",
        64,
        "Channels of the map of half the image's side (dcgan, residual); a quarter of a hidden "
        "layer (mlp).",
    )
    loss: str = _option(
        "Decoder", "mse", "mse, l1, lap1, features, or a weighted sum such as 'lap1+0.1*features'."
    )
    features: str = _option(
        "Decoder",
        "efficientnet",
        "Network of the loss 'features': efficientnet (an extra), or a TorchScript file.",
    )

    code_dim: int = _option("Codes", 32, "D, numbers in a code.")
    init: Literal["pca", "gaussian"] = _option(
        "Codes", "pca", "Initial codes: whitened principal components of each example, or random."
    )
    gaussian_std: float = _option(
        "Codes", 1.0, "Standard deviation of random initial codes, before the constraint."
    )
    constraint: Literal["ball", "sphere", "free"] = _option(
        "Codes", "ball", "What holds for every code: |z| <= 1, |z| = 1, or nothing."
    )
    project_every: Literal["step", "epoch"] = _option(
        "Codes", "step", "When the constraint is enforced: after every update, or once an epoch."
    )

    epochs: int | None = _option(
        "Training",
        None,
        "Passes over the data; unset: 25, and more for small data sets (at least 3000 steps, for "
        "vectors 800).",
    )
    batch_size: int = _option("Training", 128, "B, examples in a step.")
    shuffle: bool = _option("Training", True, "Visit the examples in a new order every epoch.")
    shuffle_buffer: int = _option(
        "Training",
        0,
        "Mix only so many examples at a time, in runs of 1024 neighbours; 0: all. For data and "
        "codes in files: rows that are near in time are then near in the file.",
    )
    shards: int | None = _option(
        "Training",
        None,
        "Groups of rows of which every batch takes alike; unset: the number of processes. One "
        "process with as many shards visits the same rows in the same steps as so many processes.",
    )
    drop_last: bool = _option(
        "Training",
        False,
        "Leave out the last partial batch of an epoch; its codes would never be trained.",
    )
    code_grad_reduction: Literal["row", "mean"] = _option(
        "Training",
        "row",
        "Gradient of a code: that of its own loss (row), or divided by the batch size (mean).",
    )
    decoder_optimizer: Literal["muon", "adam", "sgd"] = _option(
        "Training",
        "muon",
        "Optimiser of the decoder's weights; muon: its matrices, adam the rest.",
    )
    decoder_lr: float = _option("Training", 4e-3, "Peak learning rate of the decoder.")
    decoder_betas: tuple[float, float] = _option(
        "Training", (0.5, 0.999), "Decay of Adam's two moments, decoder."
    )
    code_optimizer: Literal["adam", "sgd"] = _option(
        "Training", "adam", "Optimiser of the codes; each row has its own moments and step count."
    )
    code_lr: float = _option("Training", 0.015, "Peak learning rate of the codes.")
    code_betas: tuple[float, float] = _option(
        "Training", (0.0, 0.9), "Decay of Adam's two moments, codes."
    )
    schedule: Literal["cosine", "constant"] = _option(
        "Training",
        "cosine",
        "How both learning rates go from their peak: to zero along a cosine, or not at all.",
    )
    warmup: float = _option(
        "Training", 0.0, "Share of the steps in which both learning rates rise from zero."
    )
    ema_decay: float = _option(
        "Training",
        0.0,
        "Decay of an averaged copy of the decoder, used in place of the last one; 0: no average.",
    )
    refine_passes: int = _option(
        "Training", 3, "Passes over all codes under the finished decoder, at the end."
    )
    refine_lr: float = _option(
        "Training", 0.015, "Peak learning rate of the codes while polishing."
    )

    prior: Literal["gaussian", "mixture", "flow-matching", "normalizing-flow", "imle"] | None = (
        _option(
            "Prior",
            None,
            "Density fitted on the codes at the end, from which new examples come; unset: "
            "flow-matching from 5,000 examples on, below a mixture.",
        )
    )

    precision: Literal["auto", "float32", "bf16"] = _option(
        "Machine",
        "auto",
        "Arithmetic of the decoder; codes and weights are always kept in float32.",
    )
    device: str = _option("Machine", "auto", "auto, cpu, cuda, cuda:1, mps.")
    compile: bool = _option(
        "Machine",
        False,
        "Compile the decoder for this machine while it trains (torch.compile), which gains "
        "nothing on the processor that was measured; needs a C++ compiler, and one process.",
    )
    seed: int = _option("Machine", 0, "Seed of everything random.")
    checkpoint_seconds: float = _option(
        "Machine",
        60.0,
        "Seconds between checkpoints; one more is written at the end and on an interrupt.",
    )
    code_memory_gib: float | None = _option(
        "Machine",
        None,
        "GiB of memory for the codes and moments of a process; more lie in files of the run folder "
        "while it trains. Unset: all in memory.",
    )

    def __post_init__(self) -> None:
        _check_choices(self)
        if self.decoder is not None and not _CLASS.fullmatch(str(self.decoder)):
            _check_choice("decoder", self.decoder, _DECODERS, ", or a class as module:Class")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and not (low <= number <= high and math.isfinite(number)):
                    allowed = f"at least {low}" if high == math.inf else f"from {low} to {high}"
                    raise UserError(f"{name} is {number}; it must be {allowed}.")

    def steps_per_epoch(self, n: int) -> int:
        """Return the number of batches in one pass over `n` examples."""
        full, rest = divmod(n, self.batch_size)
        return full if self.drop_last and full else full + (rest > 0)

    def epochs_for(self, n: int) -> int:
        """Return the number of passes over `n` examples.

        Example:
            >>> Settings().epochs_for(60_000), Settings().epochs_for(256)
            (25, 1500)
            >>> Settings(decoder="mlp").epochs_for(256)
            400
        """
        if self.epochs is not None:
            return self.epochs
        least = _LEAST_STEPS_OF_VECTORS if self.decoder == "mlp" else _LEAST_STEPS
        return max(_LEAST_EPOCHS, math.ceil(least / self.steps_per_epoch(n)))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that are set, tuples as lists, ready for JSON or TOML."""
        pairs = dataclasses.asdict(self).items()
        return {k: list(v) if isinstance(v, tuple) else v for k, v in pairs if v is not None}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, where: str = "the settings") -> Self:
        """Build settings from names and values, such as a parsed TOML file.

        Args:
            values: setting names to values; a list may stand for a tuple.
            where: what the values came from, named in messages.

        Raises:
            UserError: an unknown name or a value of the wrong type.

        Example:
            >>> Settings.from_mapping({"epohcs": 3}, where="my.toml")
            Traceback (most recent call last):
            glo.errors.UserError: my.toml has no setting 'epohcs'. Did you mean 'epochs'?
        """
        return cls(**checked(values, get_type_hints(cls), where=where))


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("size", 2, 4096),
    ("limit", 1, math.inf),
    ("width", 4, 1024),
    ("code_dim", 1, 65536),
    ("gaussian_std", 1e-6, 1e3),
    ("epochs", 1, math.inf),
    ("batch_size", 1, 2**20),
    ("decoder_lr", 0.0, 1e3),
    ("decoder_betas", 0.0, 0.999999),
    ("code_lr", 0.0, 1e6),
    ("code_betas", 0.0, 0.999999),
    ("warmup", 0.0, 1.0),
    ("ema_decay", 0.0, 0.999999),
    ("shuffle_buffer", 0, math.inf),
    ("shards", 1, 65536),
    ("code_memory_gib", 0.0, math.inf),
    ("refine_passes", 0, 10_000),
    ("refine_lr", 0.0, 1e3),
    ("seed", 0, 2**63 - 1),
    ("checkpoint_seconds", 0.0, math.inf),
)


def _check_choices(settings: Settings) -> None:
    for name, hint in get_type_hints(Settings).items():
        options = [hint, *get_args(hint)] if get_origin(hint) is not Literal else [hint]
        for option in options:
            value = getattr(settings, name)
            if get_origin(option) is Literal and value is not None:
                _check_choice(name, value, get_args(option))


def _check_choice(name: str, value: object, choices: Sequence[object], more: str = "") -> None:
    if value not in choices:
        names = ", ".join(map(str, choices))
        near = suggest(str(value), map(str, choices))
        raise UserError(f"{name} is {value!r}; it must be one of {names}{more}.{near}")
