"""Rows are searched to convergence, whichever rows share their batch."""

from collections.abc import Callable

import pytest
import torch

from glo.decoders import Decoder
from glo.inversion import InitialCodes
from glo.inversion.bfgs import Rows
from glo.inversion.frozen_decoder import frozen_decoder
from glo.inversion.local_linear import LocalLinearModel
from glo.inversion.objective import Objective
from glo.inversion.result import InversionProgress
from glo.inversion.search import SearchLimits, first_rows, rows_per_batch, search
from glo.losses import MSELoss

Make = Callable[..., tuple[Decoder, InitialCodes]]
LIMITS = SearchLimits(max_steps=40, tolerance=1e-4, max_length=2.0, constraint="free")
N, K = 30, 2


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(
    linear: Make,
    batch: int = 16,
    block: int = 4,
    limits: SearchLimits = LIMITS,
    scale: float = 1.0,
    callback: Callable[[InversionProgress], bool | None] | None = None,
) -> Rows:
    decoder, _ = linear()

    def next_rows(start: int) -> Rows:
        codes = draw(N, K, 3)[start : start + block]
        b = len(codes)
        model = LocalLinearModel(
            codes=codes,
            centers=codes,
            inverse=scale * torch.eye(3).expand(b, 3, 3),
            precision=torch.eye(3).expand(b, 3, 3),
        )
        return first_rows(model, start, torch.full((b,), 8), limits, centered=False)

    with frozen_decoder(decoder, "float32") as decode:
        objective = Objective(
            decode=decode,
            operator=None,
            loss=MSELoss(),
            target=draw(N, 8, seed=9),
            mask=None,
            weights=torch.zeros(N),
            log_density=None,
        )
        return search(objective, next_rows, (N, K, 3), limits, batch, callback)


@pytest.mark.parametrize(("batch", "block"), [(1, 1), (7, 3), (500, 1)])
def test_results_do_not_depend_on_batches(linear: Make, batch: int, block: int) -> None:
    whole, parts = run(linear, 60, 30), run(linear, batch, block)
    torch.testing.assert_close(parts["codes"], whole["codes"], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(parts["residual"], whole["residual"], atol=1e-5, rtol=1e-3)


def test_the_search_ends_at_the_least_squares(linear: Make) -> None:
    decoder, _ = linear()
    rows = run(linear)
    weight, bias = (p.detach().double() for p in decoder.parameters())
    expected = torch.linalg.lstsq(weight, (draw(N, 8, seed=9).double() - bias).T).solution.T
    for solution in rows["codes"].unbind(1):
        torch.testing.assert_close(solution.double(), expected, atol=2e-3, rtol=1e-3)
    assert bool(rows["converged"].all())
    assert int(rows["steps"].max()) < 40


def test_more_steps_never_give_a_higher_objective(linear: Make) -> None:
    last = None
    for n in (1, 3, 6, 9):
        limits = SearchLimits(max_steps=n, tolerance=0.0, max_length=2.0, constraint="free")
        rows = run(linear, limits=limits)
        assert int(rows["steps"].max()) <= n
        assert n != 3 or not rows["converged"].any()
        if last is not None:
            assert bool((rows["total"] <= last + 1e-6).all())
            assert float(rows["total"].sum()) < float(last.sum())
        last = rows["total"]


def test_a_step_too_long_is_rejected_and_a_shorter_one_follows(linear: Make) -> None:
    def totals(n: int, tolerance: float = 0.0) -> torch.Tensor:
        limits = SearchLimits(max_steps=n, tolerance=tolerance, max_length=100.0, constraint="free")
        return run(linear, limits=limits, scale=30.0)["total"]

    first = totals(1)
    assert all(bool((totals(n) <= first).all()) for n in (2, 3))
    torch.testing.assert_close(totals(60, 1e-6), run(linear)["total"], atol=1e-5, rtol=1e-3)


def test_the_callback_reports_every_decoding_and_can_stop(linear: Make) -> None:
    reports: list[InversionProgress] = []
    whole = run(linear, callback=reports.append)
    assert sum(len(report.rows) for report in reports) == int(whole["steps"].sum())
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[-1] <= 1
    assert reports[-1].total == N * K
    stopped = run(linear, callback=lambda progress: True)
    searched = stopped["steps"] > 0
    assert 0 < int(searched.sum()) < N * K
    assert bool(stopped["codes"][~searched].isnan().all())
    assert not stopped["converged"].any()
    torch.testing.assert_close(stopped["codes"][searched], draw(N, K, 3)[searched])


def test_large_codes_and_examples_are_searched_in_smaller_batches() -> None:
    assert rows_per_batch(10, 2) == 512
    assert 16 <= rows_per_batch(3 * 256 * 256, 64) < 64
    assert rows_per_batch(10, 2048) == 16
