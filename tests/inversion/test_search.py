"""Rows come and go: each is searched to its end whoever is beside it."""

from collections.abc import Callable, Iterator

import pytest
import torch

from glo.decoders import Decoder
from glo.inversion import InitialCodes
from glo.inversion.bfgs import Rows
from glo.inversion.frozen import frozen
from glo.inversion.local_linear import LocalLinearModel
from glo.inversion.objective import Objective
from glo.inversion.search import Pace, batch_rows, new_rows, search
from glo.losses import MSELoss

Make = Callable[..., tuple[Decoder, InitialCodes]]
PACE = Pace(most=40, tolerance=1e-4, reach=2.0, constraint="free")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def waiting(
    n: int, dim: int, answers: int, pace: Pace, *, block: int, scale: float = 1.0
) -> Iterator[Rows]:
    for first in range(0, n, block):
        b = min(block, n - first)
        starts = draw(n, answers, dim)[first : first + b]
        near = LocalLinearModel(
            starts=starts,
            centres=starts,
            inverse=scale * torch.eye(dim).expand(b, dim, dim),
            precision=torch.eye(dim).expand(b, dim, dim),
        )
        yield new_rows(near, first, torch.full((b,), 8), pace, centred=False)


def run(
    linear: Make, batch: int, block: int, n: int = 30, pace: Pace = PACE, scale: float = 1.0
) -> tuple[list[int], dict[tuple[int, int], Rows]]:
    decoder, _ = linear()
    widths, found = [], {}
    with frozen(decoder, "float32") as fixed:
        objective = Objective(
            decode=fixed,
            operator=None,
            loss=MSELoss(),
            target=draw(n, 8, seed=9),
            observed=None,
            weights=torch.zeros(n),
            log_density=None,
        )
        for _, rows in search(
            objective, waiting(n, 3, 2, pace, block=block, scale=scale), pace, batch
        ):
            if rows is None:
                continue
            widths.append(len(rows["row"]))
            for i in range(len(rows["row"])):
                key = int(rows["row"][i]), int(rows["answer"][i])
                assert key not in found, "a row comes out once"
                found[key] = {name: tensor[i] for name, tensor in rows.items()}
    return widths, found


@pytest.mark.parametrize(("batch", "block"), [(1, 1), (7, 3), (64, 30), (500, 1)])
def test_every_row_comes_out_once_and_the_same(linear: Make, batch: int, block: int) -> None:
    _, whole = run(linear, 60, 30)
    _, parts = run(linear, batch, block)
    assert set(whole) == set(parts) == {(i, j) for i in range(30) for j in range(2)}
    for key, rows in parts.items():
        torch.testing.assert_close(rows["codes"], whole[key]["codes"], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(rows["residual"], whole[key]["residual"], atol=1e-5, rtol=1e-3)


def test_the_search_ends_at_the_least_squares(linear: Make) -> None:
    decoder, _ = linear()
    _, found = run(linear, 16, 4)
    weight, bias = (p.detach().double() for p in decoder.parameters())
    for (row, _), rows in found.items():
        wanted = torch.linalg.lstsq(weight, draw(30, 8, seed=9)[row].double() - bias).solution
        torch.testing.assert_close(rows["codes"].double(), wanted, atol=2e-3, rtol=1e-3)
        assert bool(rows["converged"])
        assert int(rows["steps"]) < 40


def test_a_search_that_is_cut_short_says_so_and_never_got_worse(linear: Make) -> None:
    last = None
    for most in (1, 3, 6, 9):
        pace = Pace(most=most, tolerance=0.0, reach=2.0, constraint="free")
        _, found = run(linear, 16, 4, pace=pace)
        assert all(int(rows["steps"]) <= most for rows in found.values())
        totals = {key: float(rows["total"]) for key, rows in found.items()}
        if last is not None:
            assert all(totals[key] <= last[key] + 1e-6 for key in totals)
            assert sum(totals.values()) < sum(last.values())
        if most == 3:
            assert not any(bool(rows["converged"]) for rows in found.values())
        last = totals


def test_a_step_too_far_is_taken_back_and_a_shorter_one_follows(linear: Make) -> None:
    far = Pace(most=1, tolerance=0.0, reach=100.0, constraint="free")
    _, first = run(linear, 16, 4, pace=far, scale=30.0)
    for most in (2, 3):
        pace = Pace(most=most, tolerance=0.0, reach=100.0, constraint="free")
        _, second = run(linear, 16, 4, pace=pace, scale=30.0)
        assert all(float(second[key]["total"]) <= float(first[key]["total"]) for key in first)
    pace = Pace(most=60, tolerance=1e-6, reach=100.0, constraint="free")
    _, far_off = run(linear, 16, 4, pace=pace, scale=30.0)
    _, near = run(linear, 16, 4, pace=pace)
    for key, rows in far_off.items():
        torch.testing.assert_close(rows["total"], near[key]["total"], atol=1e-5, rtol=1e-3)


def test_rows_leave_as_soon_as_they_are_done(linear: Make) -> None:
    widths, _ = run(linear, 60, 30)
    assert len(widths) > 1
    assert sum(widths) == 60


def test_large_codes_and_examples_are_searched_in_smaller_batches() -> None:
    assert batch_rows(10, 2) == 512
    assert 16 <= batch_rows(3 * 256 * 256, 64) < 64
    assert batch_rows(10, 2048) == 16
