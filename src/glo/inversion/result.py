"""What is found for each observation, while it is searched for and at last."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from glo.inversion.bfgs import Rows
from glo.inversion.frozen import Frozen

__all__ = ["Inversion", "SearchState", "finish", "gather"]

# Examples that are decoded and summed up at once.
_DECODED = 2048


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SearchState:
    """Where a search stands after a decoding: B answers took part in it.

    Attributes:
        done: answers that are ready.
        total: answers that are wanted, n K.
        most: decodings of an answer at most.
        row: int64 (B,), which observation.
        answer: int64 (B,), which of its answers.
        codes: (B, D), the best so far, on the decoder's device.
        residual: (B,), theirs on what was observed.
        steps: int64 (B,), decodings so far.
    """

    done: int
    total: int
    most: int
    row: Tensor
    answer: Tensor
    codes: Tensor
    residual: Tensor
    steps: Tensor

    @property
    def share(self) -> float:
        """The share of the work that is done, up to 1, as if every answer took `most` decodings.

        Most answers take fewer, so it rises faster towards the end.
        """
        return (self.done + float(self.steps.sum()) / self.most) / self.total


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Inversion:
    """What was found for n observations, K answers each.

    Attributes:
        codes: (n, D), of the best answers: those of the lowest objective.
        reconstructions: (n, *shape), what the decoder makes of `codes`: whole examples, whatever
            was hidden.
        residual: (n,), loss of the best answer on what was observed.
        steps: int64 (n,), decodings that were spent on all answers.
        converged: bool (n,), whether the best answer stopped by itself.
        alternatives: (n, K, D), all answers, the lowest residual first.
        alternative_residuals: (n, K), theirs.
        average: (n, *shape), mean example of all answers: an estimate of the least squared error,
            blurred where the answers differ.
        deviation: (n, *shape), their standard deviation: what the observation leaves open.
    """

    codes: Tensor
    reconstructions: Tensor
    residual: Tensor
    steps: Tensor
    converged: Tensor
    alternatives: Tensor
    alternative_residuals: Tensor
    average: Tensor
    deviation: Tensor


def finish(steps: Iterator[SearchState | Inversion]) -> Inversion:
    """Drive a search to its end, and return what it found."""
    found = None
    for step in steps:
        if isinstance(step, Inversion):
            found = step
    assert found is not None, "a search ends with what it found"
    return found


def gather(
    decode: Frozen, seen: Iterator[tuple[Rows, Rows | None]], n: int, answers: int, most: int
) -> Generator[SearchState, None, Inversion]:
    """Put the rows of a search in order, decode them, and return what was found.

    Args:
        decode: the decoder.
        seen: what `search` yields.
        n: how many observations there are.
        answers: K.
        most: decodings of an answer at most.

    Yields:
        where the search stands, after each decoding.
    """
    ready = 0
    codes = torch.zeros(n, answers, decode.code_dim)
    total, residual = torch.zeros(n, answers), torch.zeros(n, answers)
    steps = torch.zeros(n, answers, dtype=torch.int64)
    converged = torch.zeros(n, answers, dtype=torch.bool)
    for active, rows in seen:
        shown = {name: active[name] for name in ("row", "answer", "codes", "residual", "steps")}
        yield SearchState(done=ready, total=n * answers, most=most, **shown)
        if rows is None:
            continue
        ready += len(rows["row"])
        place = rows["row"].cpu(), rows["answer"].cpu()
        codes[place], total[place] = rows["codes"].cpu(), rows["total"].cpu()
        residual[place], steps[place] = rows["residual"].cpu(), rows["steps"].cpu()
        converged[place] = rows["converged"].cpu()
    best, every = total.argmin(1), torch.arange(n)
    order = residual.argsort(dim=1, stable=True)
    reconstructions, average, deviation = _decoded(decode, codes, best)
    return Inversion(
        codes=codes[every, best],
        reconstructions=reconstructions,
        residual=residual[every, best],
        steps=steps.sum(1),
        converged=converged[every, best],
        alternatives=codes.gather(1, order.unsqueeze(2).expand_as(codes)),
        alternative_residuals=residual.gather(1, order),
        average=average,
        deviation=deviation,
    )


def _decoded(decode: Frozen, codes: Tensor, best: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # All answers of all observations could be more than the memory holds.
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    answers = codes.shape[1]
    block = max(1, _DECODED // answers)
    for own, which in zip(codes.split(block), best.split(block), strict=True):
        examples = torch.cat([part.cpu() for part in decode.batches(own.flatten(0, 1))])
        examples = examples.view(len(own), answers, *decode.shape)
        chosen = examples[torch.arange(len(own)), which]
        parts.append((chosen, examples.mean(1), examples.std(1, correction=0)))
    first, second, third = (torch.cat(part) for part in zip(*parts, strict=True))
    return first, second, third
