"""Transposed convolution that doubles the side of a map, with a matrix product for tiny maps.

Processors with matrix tiles (Intel AMX) fill a tile with neighboring pixels of one row. On a 4 x 4
map a row has four, so three quarters of each tile idle: measured, a convolution there ran at 60 to
90 GFLOP/s where a plain product of the same size ran at 500 to 700. So each small map is taken as
a tall matrix (a row per pixel), multiplied by all kernel positions at once, and the overlapping
results are added up. The function is the same up to rounding.
"""

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from glo.decoders.base import INITIAL_STD, draw_channels_last

# Maps with more pixels fill the tiles, and the convolution is faster.
MAX_PIXELS = 16


@final
class Upsample(nn.ConvTranspose2d):
    """Map (B, C, s, s) to (B, C', 2s, 2s): `nn.ConvTranspose2d` of stride 2, without a bias.

    Weights start from N(0, 0.02^2) and lie channels-last in memory, as the maps do. The side of the
    kernel is 4 (DCGAN) or 5 (TensorFlow's 'SAME').
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int) -> None:
        # Output side 2(s - 1) + kernel - 2 padding + output_padding = 2s.
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            stride=2,
            padding=(kernel - 1) // 2,
            output_padding=kernel % 2,
            bias=False,
        )

    def reset_parameters(self) -> None:
        """Draw the weights from N(0, 0.02^2)."""
        draw_channels_last(self.weight, INITIAL_STD)

    def forward(self, maps: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return the doubled maps, (B, C', 2s, 2s)."""
        doubled = gemm_conv_transpose2d(maps, self.weight, padding=(self.kernel_size[0] - 1) // 2)
        return super().forward(maps) if doubled is None else doubled


def gemm_conv_transpose2d(maps: Tensor, weight: Tensor, *, padding: int) -> Tensor | None:
    """Return the stride-2 transposed convolution, bfloat16 (B, C', 2H, 2W), or None if not faster.

    Args:
        maps: (B, C, H, W).
        weight: (C, C', K, K) with K 4 or 5.
        padding: (K - 1) // 2.
    """
    small = maps.shape[2] * maps.shape[3] <= MAX_PIXELS
    half = maps.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if not (small and half and _has_tiles()):
        return None
    result: Tensor = _Product.apply(maps.bfloat16(), weight.bfloat16(), padding)  # type: ignore[no-untyped-call]
    return result


def _has_tiles() -> bool:
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


@final
class _Product(torch.autograd.Function):
    """Output pixel 2i - padding + k of a row gets input pixel i times kernel position k."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, padding: int) -> Tensor:
        batch, channels, height, width = maps.shape
        out, kernel = weight.shape[1], weight.shape[2]
        pixels = maps.permute(0, 2, 3, 1).reshape(-1, channels)
        table = weight.permute(0, 2, 3, 1).reshape(channels, -1)
        ctx.save_for_backward(pixels, table)
        ctx.shapes = (maps.shape, weight.shape, padding)
        spread = (pixels @ table).view(batch, height, width, kernel, kernel, out)
        # One pixel more on each side, in pairs (i, odd or even), for results beyond the edge.
        sheet = maps.new_zeros(batch, height + 2, 2, width + 2, 2, out)
        for down in range(kernel):
            top, row = divmod(down - padding + 2, 2)
            for right in range(kernel):
                left, column = divmod(right - padding + 2, 2)
                part = sheet[:, top : top + height, row, left : left + width, column]
                part += spread[:, :, :, down, right]
        # A view of the sheet would have gaps in memory, which slow the next layers down.
        inner = sheet[:, 1:-1, :, 1:-1].contiguous().view(batch, 2 * height, 2 * width, out)
        return inner.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        pixels, table = ctx.saved_tensors
        (batch, channels, height, width), (_, out, kernel, _), padding = ctx.shapes
        after = kernel - 2 - padding
        edges = (0, 0, padding, after, padding, after)
        sheet = functional.pad(gradients[0].permute(0, 2, 3, 1), edges).contiguous()
        image, line, pixel, channel = sheet.stride()
        windows = sheet.as_strided(
            (batch, height, width, kernel, kernel, out),
            (image, 2 * line, 2 * pixel, line, pixel, channel),
        ).reshape(len(pixels), -1)
        to_maps = (windows @ table.T).view(batch, height, width, channels).permute(0, 3, 1, 2)
        to_weight = (pixels.T @ windows).view(channels, kernel, kernel, out).permute(0, 3, 1, 2)
        return to_maps, to_weight, None
