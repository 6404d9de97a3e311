"""Networks from codes to examples: one file each, rebuilt from a JSON-able `config`."""

from glo.decoders.base import Decoder
from glo.decoders.build import build_decoder
from glo.decoders.custom import (
    check_custom,
    class_name,
    custom_config,
    custom_decoder,
    import_decoder,
    is_custom,
)
from glo.decoders.dcgan import DCGAN
from glo.decoders.load import read_decoder
from glo.decoders.mlp import MLP
from glo.decoders.resnet import ResNet
from glo.decoders.tensorlayer import TensorLayerDCGAN

__all__ = [
    "DCGAN",
    "MLP",
    "Decoder",
    "ResNet",
    "TensorLayerDCGAN",
    "build_decoder",
    "check_custom",
    "class_name",
    "custom_config",
    "custom_decoder",
    "import_decoder",
    "is_custom",
    "read_decoder",
]
