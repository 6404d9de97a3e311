"""A decoder from the file that holds its weights and its configuration, neither of them trusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glo.decoders.base import Decoder
from glo.decoders.build import build_decoder
from glo.errors import UserError
from glo.utils.safetensors_io import check_finite, read_header, read_tensors

__all__ = ["read_decoder"]

_MOST_LAYERS = 100
_DRAWING = (
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
    Tensor.normal_,
    Tensor.uniform_,
)


def read_decoder(path: Path, own: type[Decoder] | None = None) -> Decoder:
    """Read a decoder.

    The network of the configuration is first laid out without memory, and must be what the file
    holds. So a few words that ask for a network of terabytes are refused, and no more memory is
    taken than twice the length of the file.

    Args:
        path: a safetensors file; its text `config` is what `build_decoder` takes, in JSON.
        own: the class of a decoder that is none of this package. It is made at once: how much
            memory it asks for is its own affair.

    Raises:
        UserError: it cannot be read, does not hold what its configuration says, or holds NaN or
            infinity.

    Example:
        >>> import json, tempfile
        >>> from glo.decoders import MLP
        >>> from glo.utils.safetensors_io import write_tensors
        >>> made, path = MLP(code_dim=2, shape=(3,)), Path(tempfile.mkdtemp()) / "x"
        >>> _ = write_tensors(path, made.state_dict(), {"config": json.dumps(made.config)})
        >>> torch.equal(read_decoder(path).net[0].weight, made.net[0].weight)
        True
    """
    header = read_header(path)
    config = header.described("config")
    header.check(_outline(config, path, own).state_dict())
    tensors = read_tensors(path)
    check_finite(path, tensors)
    decoder = build_decoder(config, own)
    decoder.load_state_dict(tensors)
    return decoder


@final
class _Undrawn(TorchFunctionMode):
    """Draw no weights: for tensors without memory torch would first load a compiler, in seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Leave a tensor as it is where it would be drawn, and pass on the rest."""
        given = kwargs or {}
        if func in _DRAWING:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _outline(config: Mapping[str, Any], path: Path, own: type[Decoder] | None) -> Decoder:
    """Return the decoder of a configuration with weights that have a shape and take no memory."""
    hidden = config.get("hidden", ())
    if isinstance(hidden, list) and len(hidden) > _MOST_LAYERS:
        raise UserError(
            f"{path} asks for {len(hidden):,} layers, and at most {_MOST_LAYERS} are made."
        )
    try:
        if own is not None:
            return build_decoder(config, own)
        with torch.device("meta"), _Undrawn():
            return build_decoder(config)
    except UserError as error:
        raise UserError(f"{path} does not describe a decoder: {error}") from None
    # What torch and Python say of lengths that are none, or too large for 64 bits.
    except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{path} does not describe a decoder that can be made: {error}") from None
