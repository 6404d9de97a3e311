import threading
import time

from glo.data.readers.images import WeightedSemaphore


def test_no_more_goes_in_than_there_is_room_for():
    gate, most, lock, inside = WeightedSemaphore(10), [0], threading.Lock(), [0]

    def work():
        with gate.acquire(4):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
    assert gate.in_use == 0


def test_what_is_larger_than_the_room_goes_in_alone_and_failures_leave():
    gate = WeightedSemaphore(10)
    try:
        with gate.acquire(99):
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with gate.acquire(10):
        assert gate.in_use == 10
