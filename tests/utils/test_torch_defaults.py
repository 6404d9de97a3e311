"""Tests of torch's initial defaults during a call."""

from collections.abc import Iterator
from threading import Barrier, Thread

import pytest
import torch
from torch.backends import cudnn

from glo.utils.torch_defaults import torch_defaults, with_torch_defaults

# The last two are of cuDNN: deterministic kernels, and a benchmark to choose them.
USUAL = (torch.float32, "cpu", True, False, False, True, False)
ODD = (torch.float64, "meta", False, True, True, False, True)


def state() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        str(torch.get_default_device()),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        cudnn.deterministic,
        cudnn.benchmark,
    )


@pytest.fixture
def odd_defaults() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    cudnn.benchmark = True
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            yield
    finally:
        cudnn.benchmark = False
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("odd_defaults")
def test_a_block_has_the_usual_defaults_and_restores_others() -> None:
    assert state() == ODD
    with torch_defaults():
        assert state() == USUAL
        with torch.device("meta"), torch_defaults():
            assert state() == USUAL
        assert state() == USUAL
    assert state() == ODD


@pytest.mark.usefixtures("odd_defaults")
def test_an_error_restores_the_defaults() -> None:
    with pytest.raises(ZeroDivisionError), torch_defaults():
        _ = 1 / 0
    assert state() == ODD


def test_gradients_can_stay_off() -> None:
    with torch.inference_mode(), torch_defaults(gradients=False):
        assert not torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("odd_defaults")
def test_a_function_keeps_its_name_arguments_and_result() -> None:
    @with_torch_defaults
    def pair(number: int, *, text: str) -> tuple[int, str, object]:
        return number, text, state()

    assert pair.__name__ == "pair"
    assert pair(1, text="a") == (1, "a", USUAL)
    assert state() == ODD


class Recorded:
    """Generator method that records the defaults under which it runs and is closed."""

    def __init__(self) -> None:
        self.closed: object = None

    @with_torch_defaults
    def states(self, n: int) -> Iterator[object]:
        try:
            for _ in range(n):
                yield state()
            return n
        finally:
            self.closed = state()


@pytest.mark.usefixtures("odd_defaults")
def test_a_generator_has_the_usual_defaults_and_its_caller_has_not() -> None:
    recorded, count = Recorded(), 0
    for found in recorded.states(3):
        count += 1
        assert found == USUAL
        assert state() == ODD
    assert (count, recorded.closed, state()) == (3, USUAL, ODD)


@pytest.mark.usefixtures("odd_defaults")
def test_a_generator_that_is_left_early_is_closed_under_the_usual_defaults() -> None:
    recorded = Recorded()
    items = recorded.states(3)
    next(items)
    items.close()
    assert (recorded.closed, state()) == (USUAL, ODD)


def test_a_generator_returns_its_value_and_passes_errors_on() -> None:
    def outer() -> Iterator[object]:
        yield (yield from Recorded().states(2))

    @with_torch_defaults
    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    assert list(outer())[-1] == 2
    with torch.no_grad():
        items = broken()
        assert next(items) == 1
        with pytest.raises(ZeroDivisionError):
            next(items)
        assert not torch.is_grad_enabled()


@pytest.mark.usefixtures("odd_defaults")
def test_the_last_of_overlapping_threads_restores_the_dtype() -> None:
    # The first to begin is the first to end.
    begun, left, found = Barrier(2), Barrier(2), []

    def first() -> None:
        with torch_defaults():
            begun.wait()
        left.wait()

    def second() -> None:
        with torch_defaults():
            begun.wait()
            left.wait()
            found.append(torch.get_default_dtype())

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, torch.get_default_dtype()) == ([torch.float32], torch.float64)
