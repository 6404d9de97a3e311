"""Networks from codes to examples: one file each, rebuilt from a JSON-able `config`."""

from glo.decoders.base import Decoder
from glo.decoders.build import build_decoder
from glo.decoders.custom import (
    check_own,
    class_name,
    import_decoder,
    is_own,
    own_config,
    own_decoder,
)
from glo.decoders.dcgan import DCGANDecoder
from glo.decoders.load import read_decoder
from glo.decoders.mlp import MLPDecoder
from glo.decoders.residual import ResidualDecoder
from glo.decoders.tensorlayer import DescribedDecoder

__all__ = [
    "DCGANDecoder",
    "Decoder",
    "DescribedDecoder",
    "MLPDecoder",
    "ResidualDecoder",
    "build_decoder",
    "check_own",
    "class_name",
    "import_decoder",
    "is_own",
    "own_config",
    "own_decoder",
    "read_decoder",
]
