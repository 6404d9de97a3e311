"""Base class of the decoders: networks from codes to examples, rebuilt from their `config`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from glo.errors import UserError

# Standard deviation of initial weights: Radford, Metz and Chintala, "Unsupervised representation
# learning with deep convolutional generative adversarial networks" (ICLR 2016), section 4.
INITIAL_STD = 0.02


class Decoder(nn.Module, ABC):
    """Map codes z (B, D) to examples (B, *shape).

    Weights are drawn from torch's global generator. Networks of users need not be subclasses: any
    `nn.Module` is a decoder, see `glo.decoders.custom`.

    Args:
        code_dim: D, length of a code.
        shape: shape of one example, (C, H, W) for images or (F,) for vectors.
        standardized: whether the means and deviations of the data's columns are stored in the
            buffers `shift` and `scale`, (F,), at first 0 and 1.
        float64: whether these buffers are float64; they stay on the CPU, since MPS has no float64.
        options: keywords of the subclass, JSON-able.

    Attributes:
        code_dim: D.
        shape: shape of one example, a tuple.
        config: JSON-able dict; `build_decoder(config)` makes the same network with new weights.
        standardized: whether `shift` and `scale` exist.

    Raises:
        UserError: `code_dim` or a side is not a positive integer.

    Example:
        >>> from glo.decoders import DCGAN
        >>> DCGAN(code_dim=8, shape=(3, 16, 16), width=4).config
        {'name': 'dcgan', 'code_dim': 8, 'shape': [3, 16, 16], 'width': 4}
    """

    name: ClassVar[str]
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        code_dim: int,
        shape: Sequence[int],
        standardized: bool = False,
        float64: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.code_dim = positive("code_dim", code_dim)
        self.shape = tuple(positive("shape", side) for side in shape)
        self.standardized = standardized
        self.config: dict[str, Any] = {
            "name": self.name,
            "code_dim": self.code_dim,
            "shape": list(self.shape),
            **options,
        }
        if standardized:
            self.config["standardized"] = True
            dtype = torch.float64 if float64 else torch.float32
            self.register_buffer("shift", torch.zeros(self.shape, dtype=dtype))
            self.register_buffer("scale", torch.ones(self.shape, dtype=dtype))
        if standardized and float64:
            self.config["float64"] = True
            # NCCL cannot broadcast tensors on the CPU.
            self._ddp_params_and_buffers_to_ignore = ["shift", "scale"]

    @abstractmethod
    def forward(self, codes: Tensor) -> Tensor:
        """Decode a batch.

        Args:
            codes: float (B, D).

        Returns:
            Examples (B, *shape), float32 even under autocast; images lie in [-1, 1].
        """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        units = {}
        if "float64" in self.config:
            units = {name: self._buffers.pop(name) for name in ("shift", "scale")}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._buffers |= units
        return self

    def checked(self, codes: Tensor) -> Tensor:
        """Return `codes` in the dtype of the weights, or raise UserError if they are not (B, D)."""
        if codes.ndim != 2 or codes.shape[1] != self.code_dim:
            raise UserError(
                f"Codes have shape {tuple(codes.shape)}, but this decoder takes (B, "
                f"{self.code_dim}); use codes that were trained with it."
            )
        weights = (weight for weight in self.parameters() if weight.is_floating_point())
        return codes.to(next(weights, codes).dtype)


def positive(argument: str, value: object) -> int:
    """Return `value` as an int, or raise UserError if it is not an integer of at least 1."""
    # NumPy's integers become Python's; True is a mistake.
    number = 0 if isinstance(value, bool) or not isinstance(value, Integral) else int(value)
    if number < 1:
        raise UserError(f"{argument} must be an integer of at least 1, not {value!r}.")
    return number


def full_precision(output: Tensor) -> Tensor:
    """Widen half precision to float32; other dtypes stay.

    In bfloat16 a tanh rounds to one long before it is one, and its gradient becomes zero.
    """
    return output.to(torch.promote_types(output.dtype, torch.float32))


def draw_channels_last(weight: Tensor, std: float) -> None:
    """Lay the weight of a 2-D convolution out channels-last and draw it from N(0, std^2).

    Drawn in the order of its memory, so that the layout does not slow the drawing down.
    """
    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    nn.init.normal_(weight.data.permute(0, 2, 3, 1), std=std)
