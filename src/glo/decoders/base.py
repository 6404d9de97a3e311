"""What every decoder is: a network from codes to examples that knows its own configuration."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glo.errors import UserError

__all__ = ["Decoder"]


class Decoder(nn.Module, ABC):
    """Map codes z (B, D) to examples (B, *shape).

    A subclass gives `name` and `forward`, passes its other keywords on as `options`, and
    draws its weights from torch's global generator.

    Args:
        code_dim: D, the length of a code.
        shape: shape of one example, (C, H, W) for images or (F,) for vectors.
        options: the subclass's own keywords, JSON-able.

    Attributes:
        code_dim: D.
        shape: tuple of the shape of one example.
        config: JSON-able; `build_decoder(config)` makes the same network with fresh weights.
        standardised: whether it keeps means and deviations of the columns of its data.

    Raises:
        UserError: if `code_dim` is not a positive integer.

    Example:
        >>> from glo.decoders import DCGAN
        >>> DCGAN(code_dim=8, shape=(3, 16, 16), width=4).config
        {'name': 'dcgan', 'code_dim': 8, 'shape': [3, 16, 16], 'width': 4}
    """

    name: ClassVar[str]
    shift: Tensor
    scale: Tensor

    def __init__(self, *, code_dim: int, shape: Sequence[int], **options: Any) -> None:
        super().__init__()
        self.code_dim = positive("code_dim", code_dim)
        self.shape = tuple(positive("shape", side) for side in shape)
        self.config: dict[str, Any] = {
            "name": self.name,
            "code_dim": self.code_dim,
            "shape": list(self.shape),
            **options,
        }
        self.standardised = False

    @abstractmethod
    def forward(self, codes: Tensor) -> Tensor:
        """Decode a batch.

        Args:
            codes: float (B, D).

        Returns:
            Examples (B, *shape), float32 even under autocast; images lie in [-1, 1].
        """

    def standardise(self) -> None:
        """Keep `shift` and `scale`, (F,), of the columns of vectors: at first 0 and 1.

        Raises:
            UserError: the network has something else of these names.
        """
        for name, value in (("shift", torch.zeros(self.shape)), ("scale", torch.ones(self.shape))):
            if name in self.state_dict() or name in vars(self):
                raise UserError(
                    f"The decoder '{self.name}' has a '{name}' of its own, where that of the "
                    f"columns of vectors is kept; give it another name."
                )
            self.register_buffer(name, value)
        self.config["standardised"] = self.standardised = True

    def checked(self, codes: Tensor) -> Tensor:
        """Return `codes`, or raise UserError if they are not (B, D)."""
        if codes.ndim != 2 or codes.shape[1] != self.code_dim:
            raise UserError(
                f"Codes have shape {tuple(codes.shape)}, but this decoder takes (B, "
                f"{self.code_dim}); use codes that were trained with it."
            )
        return codes


def positive(argument: str, value: object) -> int:
    """Return `value`, or raise UserError if it is not a whole number of at least 1."""
    # NumPy's integers are welcome and become Python's; True is a mistake.
    number = 0 if isinstance(value, bool) or not isinstance(value, Integral) else int(value)
    if number < 1:
        raise UserError(f"{argument} takes whole numbers from 1 up, not {value!r}.")
    return number


def full_precision(output: Tensor) -> Tensor:
    """Widen half precision to float32, and leave the rest alone.

    In bfloat16 a tanh rounds to one long before it is one, and the gradient there becomes zero.
    """
    return output.to(torch.promote_types(output.dtype, torch.float32))
