"""Whose turn it is: what a person waits for overtakes long work; closing ends long work."""

import threading
import time

import pytest
import torch

from glo.decoders import MLP
from glo.explorer.once_cache import OnceCache
from glo.explorer.scheduler import Closed, Scheduler, YieldingDecoder


def test_short_work_does_not_wait_for_long_work() -> None:
    turns = Scheduler()
    with turns.later(), turns.soon():
        pass


@pytest.mark.parametrize("lane", ["soon", "later"])
def test_turns_come_in_order_and_one_at_a_time(lane: str) -> None:
    turns, order = Scheduler(), []
    inside: list[int] = []

    def work(number: int) -> None:
        with getattr(turns, lane)():
            inside.append(number)
            assert len(inside) == 1
            order.append(number)
            time.sleep(0.005)
            inside.pop()

    with getattr(turns, lane)():
        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_greedy_work_leaves_a_turn_to_others() -> None:
    turns, done = Scheduler(), threading.Event()

    def greedy() -> None:
        while not done.is_set():
            with turns.later():
                time.sleep(0.001)

    thread = threading.Thread(target=greedy)
    thread.start()
    for _ in range(20):
        with turns.later():
            pass
    done.set()
    thread.join()


def test_turn_is_given_back_after_a_fault() -> None:
    turns = Scheduler()
    for take in (turns.soon, turns.later):
        with pytest.raises(ZeroDivisionError), take():
            _ = 1 / 0
    with turns.later(), turns.soon():
        pass


def test_closing_ends_long_work_alone() -> None:
    turns = Scheduler()
    decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
    turns.close()
    with pytest.raises(Closed):
        YieldingDecoder(decoder, turns)(torch.zeros(1, 2))
    with turns.soon():
        pass


def test_closing_wakes_who_waits() -> None:
    turns, seen = Scheduler(), []

    def wait() -> None:
        try:
            with turns.later():
                seen.append("served")
        except Closed:
            seen.append("closed")

    with turns.later():
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.02)
        turns.close()
        thread.join()
    assert seen == ["closed"]


def test_patient_decoder_has_gradients_and_weights_of_its_decoder() -> None:
    decoder = MLP(code_dim=2, shape=(3,), hidden=(4,)).eval()
    patient = YieldingDecoder(decoder, Scheduler())
    codes = torch.randn(70, 2, requires_grad=True)
    patient(codes).sum().backward()
    assert codes.grad is not None
    assert next(patient.parameters()) is next(decoder.parameters())


def test_value_is_made_once_for_all() -> None:
    kept, made = OnceCache(), []

    def make() -> int:
        made.append(1)
        time.sleep(0.05)
        return 7

    threads = [threading.Thread(target=kept.get, args=("x", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert kept.get("x", make) == 7


def test_failure_is_not_kept() -> None:
    kept = OnceCache()
    with pytest.raises(ZeroDivisionError):
        kept.get("x", lambda: 1 // 0)
    assert kept.get("x", lambda: 3) == 3
