"""Whose turn it is: what a person waits for overtakes long work; closing ends long work."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from glo.decoders import MLP
from glo.explorer.scheduler import Closed, Scheduler, YieldingDecoder, compute_once


def test_short_work_does_not_wait_for_long_work() -> None:
    scheduler = Scheduler()
    with scheduler.background(), scheduler.interactive():
        pass


@pytest.mark.parametrize("lane", ["interactive", "background"])
def test_turns_come_in_order_and_one_at_a_time(lane: str) -> None:
    scheduler, order = Scheduler(), []
    inside: list[int] = []

    def work(number: int) -> None:
        with getattr(scheduler, lane)():
            inside.append(number)
            assert len(inside) == 1
            order.append(number)
            time.sleep(0.005)
            inside.pop()

    with getattr(scheduler, lane)():
        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_greedy_work_leaves_a_turn_to_others() -> None:
    scheduler, done = Scheduler(), threading.Event()

    def greedy() -> None:
        while not done.is_set():
            with scheduler.background():
                time.sleep(0.001)

    thread = threading.Thread(target=greedy)
    thread.start()
    for _ in range(20):
        with scheduler.background():
            pass
    done.set()
    thread.join()


def test_turn_is_given_back_after_a_fault() -> None:
    scheduler = Scheduler()
    for take in (scheduler.interactive, scheduler.background):
        with pytest.raises(ZeroDivisionError), take():
            _ = 1 / 0
    with scheduler.background(), scheduler.interactive():
        pass


def test_closing_ends_long_work_alone() -> None:
    scheduler = Scheduler()
    decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
    scheduler.close()
    with pytest.raises(Closed):
        YieldingDecoder(decoder, scheduler)(torch.zeros(1, 2))
    with scheduler.interactive():
        pass


def test_closing_wakes_who_waits() -> None:
    scheduler, seen = Scheduler(), []

    def wait() -> None:
        try:
            with scheduler.background():
                seen.append("served")
        except Closed:
            seen.append("closed")

    with scheduler.background():
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.02)
        scheduler.close()
        thread.join()
    assert seen == ["closed"]


def test_patient_decoder_has_gradients_and_weights_of_its_decoder() -> None:
    decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
    patient = YieldingDecoder(decoder, Scheduler())
    codes = torch.randn(70, 2, requires_grad=True)
    patient(codes).sum().backward()
    assert codes.grad is not None
    assert next(patient.parameters()) is next(decoder.parameters())


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
    assert sorted(calls) == [1, 1, 2, 3]
    assert Slow().square(2) == 4
    assert len(calls) == 5
