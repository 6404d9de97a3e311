"""Decoders from a configuration, and from the file that holds weights and configuration.

Neither the file nor its configuration is trusted.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glo.decoders.base import Decoder
from glo.decoders.custom import DecoderLike, ModuleDecoder, decoder_name
from glo.decoders.dcgan import DCGAN
from glo.decoders.mlp import MLP
from glo.decoders.resnet import ResNet
from glo.decoders.tensorlayer import TensorLayerDCGAN
from glo.errors import UserError, suggest
from glo.utils.safetensors_io import check_finite, read_header, read_tensors
from glo.utils.torch_defaults import with_torch_defaults

DECODERS: dict[str, type[Decoder]] = {
    "dcgan": DCGAN,
    "tensorlayer": TensorLayerDCGAN,
    "mlp": MLP,
    "residual": ResNet,
}
MAX_LAYERS = 100
_DRAWING = (
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
    Tensor.normal_,
    Tensor.uniform_,
)


def build_decoder(config: Mapping[str, Any], custom: DecoderLike | None = None) -> Decoder:
    """Build the decoder of a configuration, with new weights.

    Args:
        config: `name` ('dcgan', 'tensorlayer', 'mlp' or 'residual') and the keywords of that class;
            the `config` attribute of any decoder, also after a trip through JSON.
        custom: the decoder of a `config` with the name 'custom'.

    Raises:
        UserError: the name or a keyword is unknown, missing or out of range, or the custom decoder
            does not fit.

    Example:
        >>> build_decoder({"name": "mlp", "code_dim": 2, "shape": [5], "hidden": []}).shape
        (5,)
    """
    keywords = dict(config)
    name = str(keywords.pop("name", "missing"))
    known = DECODERS if custom is None else {ModuleDecoder.name: ModuleDecoder}
    if name not in known:
        names = ", ".join(f"'{each}'" for each in known)
        raise UserError(f"The decoder's name is '{name}'; choose {names}.{suggest(name, known)}")
    if custom is not None:
        return ModuleDecoder(custom, **keywords)
    try:
        inspect.signature(known[name]).bind(**keywords)
    except TypeError as error:
        raise UserError(f"The decoder '{name}' has other settings: {error}.") from None
    return known[name](**keywords)


@with_torch_defaults
def read_decoder(path: Path, custom: DecoderLike | None = None) -> Decoder:
    """Read a decoder.

    The network of the configuration is first built without memory and compared with the tensors of
    the file. So a configuration of a network of terabytes is refused, and no more memory is taken
    than twice the length of the file.

    Args:
        path: path of a safetensors file; its text `config` is the JSON of a decoder's `config`.
        custom: the custom decoder of the run. It is made at once, whatever memory it takes.

    Raises:
        UserError: the file cannot be read, does not hold the weights of its configuration, or
            holds NaN or infinity.

    Example:
        >>> import json, tempfile
        >>> from glo.utils.safetensors_io import write_tensors
        >>> decoder, path = MLP(code_dim=2, shape=(3,)), Path(tempfile.mkdtemp()) / "x"
        >>> _ = write_tensors(path, decoder.state_dict(), {"config": json.dumps(decoder.config)})
        >>> torch.equal(read_decoder(path).net[0].weight, decoder.net[0].weight)
        True
    """
    header = read_header(path)
    config = header.described("config")
    outline = _outline(config, path, custom)
    try:
        header.check(outline.state_dict())
    except UserError as error:
        if custom is None:
            raise
        raise UserError(f"{error} The decoder passed is {decoder_name(custom)}.") from None
    tensors = read_tensors(path)
    check_finite(path, tensors)
    decoder = outline if custom is not None else build_decoder(config)
    decoder.load_state_dict(tensors)
    return decoder


@final
class _Undrawn(TorchFunctionMode):
    """Draw no weights: for tensors without memory torch would first load a compiler, in seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a tensor unchanged where it would be drawn; call all other functions."""
        kwargs = kwargs or {}
        if func in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _outline(config: Mapping[str, Any], path: Path, custom: DecoderLike | None) -> Decoder:
    """Build the decoder of a configuration, on the meta device unless it is a custom one."""
    hidden = config.get("hidden", ())
    if isinstance(hidden, list) and len(hidden) > MAX_LAYERS:
        raise UserError(
            f"{path} asks for {len(hidden):,} layers; a decoder has at most {MAX_LAYERS}."
        )
    try:
        if custom is not None:
            return build_decoder(config, custom)
        with torch.device("meta"), _Undrawn():
            return build_decoder(config)
    except UserError as error:
        raise UserError(f"{path} does not describe a decoder: {error}") from None
    # Errors of torch and Python about lengths that are no integers, or too large for 64 bits.
    except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{path} does not describe a decoder that can be made: {error}") from None
