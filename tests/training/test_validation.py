"""Rules of the checks: the best of them, memorization, how many rows, and how often."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo.training.validation import (
    MAX_INITIAL_CODES,
    MAX_STEPS,
    Check,
    ValidationRecord,
    check_interval,
    check_rows,
)


def record(*errors: float, falls: bool = True) -> ValidationRecord:
    """Return the record after checks of these errors, with a training error that falls or not."""
    checks = [
        Check(epoch=2 * number, error=error, mse=1 / number if falls else number)
        for number, error in enumerate(errors, 1)
    ]
    result = ValidationRecord.first(checks[0])
    for check in checks[1:]:
        result = result.after(check)
    return result


def test_the_first_of_the_smallest_errors_is_the_best() -> None:
    found = record(0.3, 0.2, 0.2, 0.25)
    assert (found.best.epoch, found.last.epoch, found.since) == (4, 8, 2)
    assert (record(0.3, 0.2).best.epoch, record(0.3, 0.2).since) == (4, 0)


def test_an_error_that_is_no_number_is_never_the_best() -> None:
    assert record(0.3, math.nan).best.epoch == 2
    assert record(math.nan, 0.3, math.nan).best.epoch == 4
    assert not record(0.3, math.nan).memorizes


@pytest.mark.parametrize(
    ("errors", "falls", "memorizes"),
    [
        ((0.2, 0.206), True, False),
        ((0.2, 0.214), True, True),
        ((0.2, 0.214), False, False),
        ((0.2, 0.3, 0.201), True, False),
        ((0.2,), True, False),
    ],
)
def test_memorization_is_a_gap_that_opens(
    errors: tuple[float, ...], falls: bool, memorizes: bool
) -> None:
    assert record(*errors, falls=falls).memorizes == memorizes


def test_a_record_survives_json() -> None:
    found = record(0.3, 0.2, 0.25)
    assert ValidationRecord.from_dict(found.to_dict()) == found
    for damage in ({"since": "1"}, {"last": {}}, {"best": {**found.to_dict()["best"], "epoch": 9}}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            ValidationRecord.from_dict({**found.to_dict(), **damage})


@given(st.integers(2, 10**7), st.integers(1, 10**6))
def test_checks_cost_at_most_a_tenth_of_the_training(n: int, held_out: int) -> None:
    rows, every = check_rows(n, held_out), check_interval(n, held_out)
    assert 1 <= rows <= min(held_out, 512)
    assert rows * MAX_STEPS + min(n, MAX_INITIAL_CODES) / 3 <= 0.1 * n * every
