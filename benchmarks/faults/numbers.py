"""Non-finite values in the data, in a gradient, in a code."""

import json
import random
from collections.abc import Iterator
from functools import partial
from itertools import count as numbers_from
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.faults.case import Attempt, Case, difference, newest
from benchmarks.faults.forked_run import Outcome, at_change, run_forked
from safetensors.torch import load_file
from torch import Tensor

__all__ = ["plant_in_data", "plant_in_training"]


def plant_in_data(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Put NaN, which is a missing value, or infinity, which is refused, into a row of vectors."""
    data = np.load(case.words[0])
    for _ in range(count):
        for value in (np.nan, np.inf):
            planted, out = data.copy(), case.new()
            planted[rng.randrange(len(data)), rng.randrange(data.shape[1])] = value
            path = out.with_suffix(".npy")
            np.save(path, planted)
            ended = run_forked(["train", str(path), *case.words[1:], "--out", str(out)])
            if np.isnan(value):
                lost = _unfinished(ended) or _not_finite(out)
                if not lost and _summary(out)["skipped_steps"]:
                    lost = "steps were skipped"
                yield Attempt("NaN in the data (missing)", lost)
            else:
                refused = ended.code == 2 and "infinity" in ended.text and not out.exists()
                lost = "" if refused else f"it ended with {ended.code}: {ended.text[-500:]}"
                yield Attempt("infinity in the data (refused)", lost)


def plant_in_training(case: Case, rng: random.Random, count: int) -> Iterator[Attempt]:
    """Put NaN into a gradient or a code at a random step, and into all gradients from one on."""
    for _ in range(count):
        for what in ("gradient", "code"):
            plant = partial(_plant, what, step := rng.randrange(1, 13))
            yield Attempt(f"NaN in a {what}", _skipped(case, plant, what, step))
            yield Attempt(f"NaN in a {what}, then kill -9", _killed_after(case, plant, rng))
        yield Attempt("NaN in all gradients (stopped)", _stopped(case, rng.randrange(2, 4)))


def _skipped(case: Case, plant: "partial[None]", what: str, step: int) -> str:
    out = case.new()
    ended = run_forked(case.command(out), plant)
    lost = _unfinished(ended) or _not_finite(out)
    if not lost and _summary(out)["skipped_steps"] != 1:
        lost = f"{_summary(out)['skipped_steps']} steps were skipped, not 1"
    if not lost and "step was skipped" not in ended.text:
        lost = f"nothing was said: {ended.text}"
    return lost and f"{what} in step {step}: {lost}"


def _killed_after(case: Case, plant: "partial[None]", rng: random.Random) -> str:
    """Return the loss after a kill: the skipped step is skipped again, with equal bits."""
    whole, out, place = case.new(), case.new(), rng.randint(1, case.changes)
    ended = run_forked(case.command(whole), plant)

    def both() -> None:
        plant()
        at_change(out, place)

    killed = run_forked(case.command(out), both)
    again = run_forked(case.command(out), plant) if killed.killed else killed
    return _unfinished(ended) or _unfinished(again) or difference(whole, out)


def _stopped(case: Case, first: int) -> str:
    out = case.new()
    ended = run_forked(case.command(out), partial(_plant, "gradient", first, every=True))
    if ended.code != 2 or "NaN or infinite in too many steps" not in ended.text:
        return f"it ended with {ended.code}: {ended.text[-500:]}"
    found = newest(out)
    if found is None or found.notes:
        return "no whole checkpoint is left"
    return _not_finite(out) or _unfinished(run_forked(case.command(out))) or _not_finite(out)


def _plant(what: str, step: int, *, every: bool = False) -> None:
    """Replace a result of a step by NaN, in this process."""
    import glo.workflows.train
    from glo.training.state import TrainState

    def planted(begin: Any, *values: Any, **named: Any) -> TrainState:
        training: TrainState = begin(*values, **named)
        weight = next(iter(training.decoder.parameters()))
        # The hook is called once a step; a run that goes on begins further on.
        numbers = numbers_from(training.step + 1)

        def spoil(gradient: Tensor) -> Tensor | None:
            number = next(numbers)
            spoilt = number >= step if every else number == step
            return gradient * float("nan") if what == "gradient" and spoilt else None

        weight.register_hook(spoil)
        if what == "code":
            _spoil_codes(training, step)
        return training

    for name in ("init_train_state", "restore_training"):
        setattr(glo.workflows.train, name, partial(planted, getattr(glo.workflows.train, name)))


def _spoil_codes(training: Any, step: int) -> None:
    numbers = numbers_from(training.step + 1)

    def spoil(latents: Any, rows: tuple[Tensor]) -> None:
        if next(numbers) == step:
            training.codes[rows[0][0], 0] = float("nan")

    training.latents.register_forward_pre_hook(spoil)


def _unfinished(ended: Outcome) -> str:
    return "" if ended.code == 0 else f"it ended with {ended.code}: {ended.text[-500:]}"


def _summary(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "summary.json").read_text("utf-8"))
    return values


def _not_finite(out: Path) -> str:
    found = newest(out)
    assert found is not None, "there is a checkpoint"
    for path in found.folder.glob("*.safetensors"):
        for name, value in load_file(path).items():
            if not bool(value.isfinite().all()):
                return f"{name} of {path.name} is not finite"
    return ""
