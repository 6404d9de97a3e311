"""An encoder on disk: a safetensors file of its weights, with its configuration.

Neither the file nor its configuration is trusted.
"""

import json
from pathlib import Path

import torch

from glo.encoders.encoder import Encoder
from glo.errors import UserError
from glo.utils.device import channels_last
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import check_finite, read_header, read_tensors, write_tensors
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["read_encoder", "write_encoder"]


def write_encoder(path: Path, encoder: Encoder) -> None:
    """Write an encoder to a safetensors file, atomically."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    with atomic_write(path) as temporary:
        write_tensors(temporary, tensors, {"config": json.dumps(encoder.config)})


@with_torch_defaults
def read_encoder(path: Path) -> Encoder:
    """Read an encoder, in evaluation mode and without gradients.

    The network of the configuration is first built without memory and compared with the file.

    Raises:
        UserError: the file cannot be read, does not hold the weights of its configuration, or
            holds NaN or infinity.

    Example:
        >>> import tempfile
        >>> encoder, path = Encoder(code_dim=2, shape=(3,), width=1), Path(tempfile.mkdtemp()) / "x"
        >>> write_encoder(path, encoder)
        >>> torch.equal(read_encoder(path).factor, encoder.factor)
        True
    """
    header = read_header(path)
    config = header.described("config")
    try:
        with torch.device("meta"):
            outline = Encoder(**config)
    except UserError as error:
        raise UserError(f"{path} does not describe an encoder: {error}") from None
    # Errors of torch and Python about names, and lengths that are too large for 64 bits.
    except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{path} does not describe an encoder that can be made: {error}") from None
    header.check(outline.state_dict())
    tensors = read_tensors(path)
    check_finite(path, tensors)
    encoder = Encoder(**config)
    encoder.load_state_dict(tensors)
    return channels_last(encoder).eval().requires_grad_(False)
