"""Lanes of the scheduler: order, independence, errors, closing; results computed once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from glo.decoders import MLP
from glo.explorer.scheduler import Closed, Scheduler, YieldingDecoder, compute_once


@pytest.mark.parametrize("lane", ["interactive", "background"])
def test_turns_follow_requests_one_at_a_time(lane: str) -> None:
    scheduler, order, active = Scheduler(), [], []

    def work(number: int) -> None:
        with getattr(scheduler, lane)():
            active.append(number)
            assert len(active) == 1
            order.append(number)
            time.sleep(0.005)
            active.pop()

    with ThreadPoolExecutor(5) as pool, getattr(scheduler, lane)():
        for number in range(5):
            pool.submit(work, number)
            time.sleep(0.02)
        assert order == []
    assert order == [0, 1, 2, 3, 4]


def test_repeated_turns_let_others_through() -> None:
    scheduler, done = Scheduler(), threading.Event()

    def repeat() -> None:
        while not done.is_set():
            with scheduler.background():
                time.sleep(0.001)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(repeat)
        for _ in range(20):
            with scheduler.background():
                pass
        done.set()


def test_an_error_releases_the_lane_and_lanes_are_independent() -> None:
    scheduler = Scheduler()
    for lane in (scheduler.interactive, scheduler.background):
        with pytest.raises(ZeroDivisionError), lane():
            _ = 1 / 0
    with scheduler.background(), scheduler.interactive():
        pass


def test_closing_ends_background_work_only() -> None:
    scheduler = Scheduler()
    decoder = YieldingDecoder(MLP(code_dim=2, shape=(3,), hidden=(4,)), scheduler)
    with ThreadPoolExecutor(1) as pool:
        with scheduler.background():
            waiting = pool.submit(decoder, torch.zeros(1, 2))
            time.sleep(0.02)
            scheduler.close()
        with pytest.raises(Closed):
            waiting.result()
    with pytest.raises(Closed):
        decoder(torch.zeros(1, 2))
    with scheduler.interactive():
        pass


def test_yielding_decoder_shares_the_weights_and_has_gradients() -> None:
    decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
    yielding = YieldingDecoder(decoder, Scheduler())
    codes = torch.randn(70, 2, requires_grad=True)
    yielding(codes).sum().backward()
    assert codes.grad is not None
    assert next(yielding.parameters()) is next(decoder.parameters())


def test_concurrent_calls_wait_for_one_computation() -> None:
    calls: list[int] = []

    class Slow:
        @compute_once
        def square(self, number: int) -> int:
            calls.append(number)
            time.sleep(0.05)
            return number**2 // (number - 1)

    slow = Slow()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(slow.square, [2, 3, 2, 3])) == [4, 4, 4, 4]
    assert sorted(calls) == [2, 3]
    # An error is not cached.
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            slow.square(1)
    assert Slow().square(2) == 4
    assert sorted(calls) == [1, 1, 2, 2, 3]
