"""Initial codes: codes with decoded examples, and the nearest of them to an observation."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from glo.errors import UserError
from glo.inversion.frozen_decoder import frozen_decoder
from glo.inversion.operators import Operator
from glo.utils.device import Precision
from glo.utils.row_ranges import evenly_spaced
from glo.utils.torch_defaults import with_torch_defaults

__all__ = ["InitialCodes", "InitialObservations", "decode_initial_codes"]

# Numbers of all decoded examples together: 512 MB in half precision.
_MAX_NUMBERS = 2**28
# Examples observed or compared at once.
_CHUNK = 4096


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class InitialCodes:
    """Codes and their decoded examples; made by `decode_initial_codes`, reusable by any search.

    Attributes:
        codes: float32 (S, D).
        examples: (S, *shape), images in half precision, vectors in float32.
        examples_spread: root mean square distance of a number from its mean over the examples.
        codes_spread: root mean square distance of a code from the mean code.
    """

    codes: Tensor
    examples: Tensor
    examples_spread: float
    codes_spread: float

    def __len__(self) -> int:
        return len(self.codes)

    @torch.no_grad()
    def observe(self, operator: Operator | None) -> "InitialObservations":
        """Apply an operator to every example and flatten, (S, F')."""
        if operator is None:
            return InitialObservations(codes=self.codes, observations=self.examples.flatten(1))
        parts = [operator(part.float()).flatten(1) for part in self.examples.split(_CHUNK)]
        observations = torch.cat([part.to(self.examples.dtype) for part in parts])
        return InitialObservations(codes=self.codes, observations=observations)


@with_torch_defaults
@torch.no_grad()
def decode_initial_codes(
    decoder: nn.Module, codes: Tensor, *, max_codes: int = 10_000, precision: Precision = "auto"
) -> InitialCodes:
    """Decode codes once, so that searches can begin at the nearest of them.

    Training codes are best. Samples of a prior serve where there are none.

    Args:
        decoder: network from codes (B, D) to examples (B, *shape).
        codes: (N, D), training codes or prior samples, N of at least 2.
        max_codes: maximum number of codes, at least 2; they are evenly spaced rows of `codes`, and
            fewer if their examples would take more than 512 MB.
        precision: arithmetic of the decoder.

    Raises:
        UserError: fewer than two codes, or codes of another decoder.

    Example:
        >>> decoder = torch.nn.Linear(2, 4)
        >>> decode_initial_codes(decoder, torch.randn(50, 2), max_codes=20).examples.shape
        torch.Size([20, 4])
    """
    dim = getattr(decoder, "code_dim", None)
    if codes.ndim != 2 or codes.shape[1] != (dim or codes.shape[1]) or len(codes) < 2:
        raise UserError(
            f"codes have shape {tuple(codes.shape)}; a search needs at least two initial codes of "
            f"this decoder, (N, {dim or 'D'})."
        )
    if max_codes < 2:
        raise UserError(f"max_codes is {max_codes}; give at least 2.")
    with frozen_decoder(decoder, precision) as decode:
        example = decode(codes[:1].float())[0]
        limit = min(len(codes), max_codes, max(2, _MAX_NUMBERS // example.numel()))
        chosen = codes[evenly_spaced(len(codes), limit)]
        dtype = torch.float16 if example.ndim == 3 else torch.float32
        examples = torch.cat([part.to(dtype) for part in decode.batches(chosen)])
        chosen = chosen.float().to(decode.device)
    return InitialCodes(
        codes=chosen,
        examples=examples.contiguous(),
        examples_spread=_spread(examples),
        codes_spread=float((chosen - chosen.mean(0)).square().sum(1).mean().sqrt()),
    )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class InitialObservations:
    """Codes (S, D) and their observations (S, F')."""

    codes: Tensor
    observations: Tensor

    def nearest(self, target: Tensor, mask: Tensor | None, k: int) -> Tensor:
        """Find the k observations of the smallest masked distance to each target, (b, k).

        |m (v - y)|^2 = m |v|^2 - 2 (m y) v + constant: two products at most for all pairs.

        Args:
            target: (b, F'), zero where hidden.
            mask: zeros and ones, (b, F'), or (1, F') for all targets; None: all is observed.
            k: number of neighbors, at most S.
        """
        best = target.new_zeros(len(target), 0)
        rows = torch.zeros(len(target), 0, dtype=torch.int64, device=target.device)
        for first in range(0, len(self.observations), _CHUNK):
            part = self.observations[first : first + _CHUNK].float()
            squares = part.square()
            length = squares.sum(1) if mask is None else mask @ squares.T
            distance = torch.cat([best, length - 2 * target @ part.T], dim=1)
            block = torch.arange(first, first + len(part), device=target.device)
            rows = torch.cat([rows, block.expand(len(target), -1)], dim=1)
            best, place = distance.topk(min(k, distance.shape[1]), largest=False)
            rows = rows.gather(1, place)
        return rows


def _spread(examples: Tensor) -> float:
    mean = examples.float().mean(0)
    parts = [(part.float() - mean).square().sum() for part in examples.split(_CHUNK)]
    return float((torch.stack(parts).sum() / examples.numel()).sqrt())
