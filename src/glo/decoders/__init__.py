"""Decoders: networks from codes (B, D) to examples (B, *shape)."""

from glo.decoders.base import Decoder
from glo.decoders.build import build_decoder, read_decoder
from glo.decoders.custom import (
    DecoderLike,
    ModuleDecoder,
    check_custom_decoder,
    decoder_name,
    import_decoder,
    is_custom,
)
from glo.decoders.dcgan import DCGAN
from glo.decoders.mlp import MLP
from glo.decoders.resnet import ResNet
from glo.decoders.tensorlayer import TensorLayerDCGAN

__all__ = [
    "DCGAN",
    "MLP",
    "Decoder",
    "DecoderLike",
    "ModuleDecoder",
    "ResNet",
    "TensorLayerDCGAN",
    "build_decoder",
    "check_custom_decoder",
    "decoder_name",
    "import_decoder",
    "is_custom",
    "read_decoder",
]
