"""SIGTERM and Ctrl-C at random times, and two writers of one run."""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.faults.case import Attempt, Case, newest
from benchmarks.faults.forked_run import ForkedRun, Outcome, at_change, at_name, run_forked
from benchmarks.faults.together import signal_after_start, start_together

__all__ = ["stop_one_of_two", "stop_with", "two_writers"]


def stop_with(cases: Sequence[Case], rng: random.Random, count: int) -> Iterator[Attempt]:
    """Stop runs by SIGTERM, by SIGINT and by SIGINT twice, and complete each."""
    kinds = {
        "SIGTERM": [signal.SIGTERM],
        "SIGINT": [signal.SIGINT],
        "SIGINT twice": [signal.SIGINT] * 2,
    }
    for name, numbers in kinds.items():
        for turn in range(count):
            case = cases[turn % len(cases)]
            out = case.new()
            ended = _stopped(case, out, numbers, rng)
            lost = _unsaid(ended, numbers) or _notes(out) or case.resume(out)[1]
            yield Attempt(name, lost and f"{case.name}, {out.name}: {lost}")
            if not lost:
                case.drop(out)


def _stopped(case: Case, out: Path, numbers: list[signal.Signals], rng: random.Random) -> Outcome:
    if rng.random() < 0.5:
        moment = rng.uniform(0, case.seconds)
        return run_forked(case.command(out), signals=[(moment, number) for number in numbers])
    place = rng.randint(1, case.changes)
    return run_forked(case.command(out), lambda: at_change(out, place, numbers))


def _unsaid(ended: Outcome, numbers: list[signal.Signals]) -> str:
    # Before the program listens, and after its last event, a signal ends it or does nothing.
    early = ended.code == -numbers[0] and not ended.text
    said = ended.code == 130 and ("Stopped and saved" in ended.text or "interrupted" in ended.text)
    if early or said or ended.code == 0:
        return ""
    return f"it ended with {ended.code}: {ended.text[-500:]}"


def _notes(out: Path) -> str:
    found = newest(out)
    return " ".join(found.notes) if found else ""


def stop_one_of_two(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Stop one of the processes of a run by SIGTERM: all must stop at one step and save."""
    for turn in range(count):
        out = case.new()
        processes = start_together(case.command(out), case.ranks)
        one = processes[turn % case.ranks]
        signal_after_start(one, out, rng.uniform(0.0, 0.7) * case.seconds, signal.SIGTERM)
        codes = [process.end().code for process in processes]
        lost = _notes(out) or case.resume(out)[1]
        # A signal that comes before the program listens ends one, and the others lose it.
        early = -signal.SIGTERM in codes
        if not lost and not early and codes[0] != codes[1]:
            lost = f"the processes ended with {codes}"
        yield Attempt("SIGTERM to one process of two", lost and f"{out.name}: {lost}")
        if not lost:
            case.drop(out)


def two_writers(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Start a second process on a run in training: the second must exit, the first continue."""
    for _ in range(count):
        out, step = case.new(), rng.randrange(1, 9)
        first = ForkedRun(
            case.command(out), lambda step=step: at_name(f"step-{step:012d}", signal.SIGSTOP)
        )
        os.waitpid(first.pid, os.WUNTRACED)
        began = time.perf_counter()
        second = run_forked(case.command(out))
        lasted = time.perf_counter() - began
        first.send(signal.SIGCONT)
        ended = first.end()
        lost = ""
        if second.code != 2 or "is being trained by another process" not in second.text:
            lost = f"the second ended with {second.code} in {lasted:.1f} s: {second.text[-500:]}"
        elif ended.code != 0:
            lost = f"the first ended with {ended.code}: {ended.text[-500:]}"
        lost = lost or case.resume(out)[1]
        yield Attempt("two writers", lost)
        if not lost:
            case.drop(out)
