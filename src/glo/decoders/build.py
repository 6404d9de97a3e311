"""From a configuration, as saved in a run folder, back to a decoder."""

import inspect
from collections.abc import Mapping
from typing import Any

from glo.decoders.base import Decoder
from glo.decoders.dcgan import DCGAN
from glo.decoders.mlp import MLP
from glo.decoders.resnet import ResNet
from glo.decoders.tensorlayer import TensorLayerDCGAN
from glo.errors import UserError, suggest

__all__ = ["build_decoder"]

DECODERS: dict[str, type[Decoder]] = {
    "dcgan": DCGAN,
    "tensorlayer": TensorLayerDCGAN,
    "mlp": MLP,
    "residual": ResNet,
}


def build_decoder(config: Mapping[str, Any], own: type[Decoder] | None = None) -> Decoder:
    """Make the decoder that `config` describes, with fresh weights.

    Args:
        config: `name` ('dcgan', 'tensorlayer', 'mlp' or 'residual') and the keywords of that class;
            the `config` attribute of any decoder, also after a trip through JSON.
        own: the class of a decoder that is none of these.

    Raises:
        UserError: if the name or a keyword is unknown, missing or out of range.

    Example:
        >>> build_decoder({"name": "mlp", "code_dim": 2, "shape": [5], "hidden": []}).shape
        (5,)
    """
    keywords = dict(config)
    name = str(keywords.pop("name", "missing"))
    known = DECODERS if own is None else {own.name: own}
    if name not in known:
        names = ", ".join(f"'{each}'" for each in known)
        raise UserError(f"The decoder's name is '{name}'; choose {names}.{suggest(name, known)}")
    # Whoever writes a class need not know of the columns of vectors.
    standardised = own is not None and keywords.pop("standardised", False) is True
    _check_keywords(name, inspect.signature(known[name]), keywords)
    decoder = known[name](**keywords)
    if standardised:
        decoder.standardise()
    return decoder


def _check_keywords(name: str, signature: inspect.Signature, keywords: Mapping[str, Any]) -> None:
    parameters = {
        word: each
        for word, each in signature.parameters.items()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }
    if any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
        return
    for word in keywords:
        if word not in parameters:
            raise UserError(
                f"The decoder '{name}' has no setting '{word}'; it takes {', '.join(parameters)}."
                f"{suggest(word, parameters)}"
            )
    for word, parameter in parameters.items():
        if parameter.default is parameter.empty and word not in keywords:
            raise UserError(f"The decoder '{name}' needs the setting '{word}'; add it.")
