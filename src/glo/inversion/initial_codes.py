"""Where a search begins: codes whose examples are known, and which of them fit what was seen."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.decoders import Decoder
from glo.errors import UserError
from glo.inversion.frozen import frozen
from glo.inversion.operators import Operator
from glo.utils.device import Precision
from glo.utils.row_ranges import evenly_spaced

__all__ = ["InitialCodes", "Views", "decode_initial_codes"]

# Numbers kept of all starts together: 512 MB in half precision.
_MOST_NUMBERS = 2**28
# Starts that are seen or compared at once.
_CHUNK = 4096


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class InitialCodes:
    """Codes and their decoded examples; made once by `decode_initial_codes`, used by any search.

    Attributes:
        codes: float32 (S, D).
        examples: (S, *shape), images in half precision, vectors in float32.
        examples_spread: root mean square distance of a number from its mean over the starts.
        codes_spread: likewise of a code from the mean code, a length.
    """

    codes: Tensor
    examples: Tensor
    examples_spread: float
    codes_spread: float

    def __len__(self) -> int:
        return len(self.codes)

    @torch.no_grad()
    def seen_through(self, operator: Operator | None) -> "Views":
        """Return what an observation of every start would hold, (S, F')."""
        parts = self.examples.split(_CHUNK)
        if operator is None:
            views = self.examples.flatten(1)
        else:
            seen = [operator(part.float()).flatten(1) for part in parts]
            views = torch.cat([part.to(self.examples.dtype) for part in seen])
        return Views(codes=self.codes, views=views)


def decode_initial_codes(
    decoder: Decoder, codes: Tensor, *, most: int = 10_000, precision: Precision = "auto"
) -> InitialCodes:
    """Decode codes once, so that searches can begin at those that fit.

    Training codes are the best starts. Samples of a prior serve where they are gone.

    Args:
        decoder: the network.
        codes: (N, D), trained with it.
        most: of these codes, so many are taken, evenly spaced; fewer if their examples would take
            more than 512 MB.
        precision: arithmetic of the decoder.

    Raises:
        UserError: fewer than two codes, or codes of another decoder.

    Example:
        >>> from glo.decoders import MLP
        >>> decoder = MLP(code_dim=2, shape=(4,), hidden=(8,))
        >>> starts = decode_initial_codes(decoder, torch.randn(50, 2), most=20)
        >>> starts.examples.shape
        torch.Size([20, 4])
    """
    dim = decoder.code_dim
    if codes.ndim != 2 or codes.shape[1] != dim or len(codes) < 2:
        raise UserError(
            f"codes have shape {tuple(codes.shape)}; starts need at least two codes of this "
            f"decoder, (N, {dim})."
        )
    if most < 2:
        raise UserError(f"most is {most}; a search needs at least two starts.")
    room = max(2, _MOST_NUMBERS // torch.Size(decoder.shape).numel())
    chosen = codes[evenly_spaced(len(codes), min(len(codes), most, room))]
    kept = torch.float16 if len(decoder.shape) == 3 else torch.float32
    with frozen(decoder, precision) as fixed:
        examples = torch.cat([part.to(kept) for part in fixed.batches(chosen)])
        chosen = chosen.float().to(fixed.device)
    apart = chosen - chosen.mean(0)
    return InitialCodes(
        codes=chosen,
        examples=examples.contiguous(),
        examples_spread=_spread(examples),
        codes_spread=float(apart.square().sum(1).mean().sqrt()),
    )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """What an observation of every start would hold.

    Attributes:
        codes: (S, D).
        views: (S, F').
    """

    codes: Tensor
    views: Tensor

    def nearest(self, seen: Tensor, observed: Tensor | None, count: int) -> Tensor:
        """Find the starts whose views differ least where the observation is known.

        |m (v - y)|^2 = m |v|^2 - 2 (m y) v + constant: two products at most for all pairs.

        Args:
            seen: (b, F'), zero where hidden.
            observed: zeros and ones, (b, F'), or (1, F') for one mask for all; None if all is
                known.
            count: how many are wanted, at most S.

        Returns:
            int64 (b, count), rows of the starts, the nearest first.

        Example:
            >>> views = Views(codes=torch.zeros(3, 2), views=torch.tensor([[0.0], [1.0], [3.0]]))
            >>> views.nearest(torch.tensor([[2.8]]), None, 2)
            tensor([[2, 1]])
        """
        best = seen.new_zeros(len(seen), 0)
        rows = torch.zeros(len(seen), 0, dtype=torch.int64, device=seen.device)
        for first in range(0, len(self.views), _CHUNK):
            part = self.views[first : first + _CHUNK].float()
            squares = part.square()
            length = squares.sum(1) if observed is None else observed @ squares.T
            distance = torch.cat([best, length - 2 * seen @ part.T], dim=1)
            own = torch.arange(first, first + len(part), device=seen.device).expand(len(seen), -1)
            rows = torch.cat([rows, own], dim=1)
            best, place = distance.topk(min(count, distance.shape[1]), largest=False)
            rows = rows.gather(1, place)
        return rows


def _spread(examples: Tensor) -> float:
    mean = examples.float().mean(0)
    parts = [(part.float() - mean).square().sum() for part in examples.split(_CHUNK)]
    return float((torch.stack(parts).sum() / examples.numel()).sqrt())
