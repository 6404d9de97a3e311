"""Repeated kill -9 at random times until the run is finished."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.case import Attempt, Case, newest
from benchmarks.faults.forked_run import Outcome, at_change, run_forked
from benchmarks.faults.together import signal_after_start, start_together

from glo.errors import UserError

__all__ = ["kill_one_of_two", "kill_repeatedly"]

_MOST_PER_RUN = 5


def kill_repeatedly(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Kill runs of a case `count` times in total; complete and compare each.

    Half of the kills come at a moment of the clock. The others come just before a change of a file,
    a random one of those that the undisturbed run makes: most of these lie inside a save.
    """
    kills = 0
    while kills < count:
        out, names, lost = case.new(), list[str](), ""
        while len(names) < min(_MOST_PER_RUN, count - kills) and not lost:
            before = _step(out)
            ended = _killed(case, out, rng)
            if not ended.killed:
                lost = "" if ended.code == 0 else f"it ended with {ended.code}: {ended.text[-500:]}"
                break
            names.append(_where(out))
            lost = _lost(out, before)
        kills += len(names)
        if not lost:
            lost = case.resume(out)[1]
        yield from (Attempt(name, lost and f"{case.name}, {out.name}: {lost}") for name in names)
        if not lost:
            case.drop(out)


def _killed(case: Case, out: Path, rng: random.Random) -> Outcome:
    if rng.random() < 0.5:
        return run_forked(
            case.command(out), signals=[(rng.uniform(0, case.seconds), signal.SIGKILL)]
        )
    place = rng.randint(1, case.changes)
    return run_forked(case.command(out), lambda: at_change(out, place))


def _where(out: Path) -> str:
    inside = any((out / "checkpoint").glob(".[wr]*"))
    return f"kill -9 {'inside a save' if inside else 'at a random moment'}"


def _step(out: Path) -> int:
    found = newest(out)
    return -1 if found is None else found.step + found.finished


def _lost(out: Path, before: int) -> str:
    """Return the checkpoint loss caused by a kill, or an empty string."""
    try:
        found = newest(out)
    except UserError as error:
        return str(error)
    if found is not None and found.notes:
        return " ".join(found.notes)
    now = _step(out)
    return f"the checkpoint of step {before} was lost; {now} is left" if now < before else ""


def kill_one_of_two(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Kill one of the processes of a run; the others must end with a message, or finish."""
    for turn in range(count):
        out, rank = case.new(), turn % case.ranks
        processes = start_together(case.command(out), case.ranks)
        delay = rng.uniform(0.0, 0.7) * case.seconds
        signal_after_start(processes[rank], out, delay, signal.SIGKILL)
        ended = [process.end() for process in processes]
        lost = _unsaid(ended, rank) or _lost(out, -1)
        lost = lost or case.resume(out)[1]
        yield Attempt("kill -9 of one process of two", lost and f"{out.name}, {rank}: {lost}")
        if not lost:
            case.drop(out)


def _unsaid(ended: list[Outcome], killed: int) -> str:
    for rank, each in enumerate(ended):
        if rank == killed or each.code == 0:
            continue
        if "Traceback" in each.text or "lost the others" not in each.text:
            return f"process {rank} ended with {each.code} and said: {each.text[-500:]}"
    return ""
