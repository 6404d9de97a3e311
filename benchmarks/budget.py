"""Seconds of a whole run, from the command to its report, in bare steps of its decoder.

    python -m benchmarks.budget                                  # the default recipe
    python -m benchmarks.budget --preset mnist-long
    python -m benchmarks.budget --epochs 1 3 6 12 25 50          # the trade-off, one run each
    python -m benchmarks.budget --seeds 0 1 2

A bare step is one forward and backward pass of the decoder at the batch size of the run. The speed
of a machine changes within minutes, so bare steps are timed all along the run, and the seconds
since the last ones are divided by theirs. The time of the bare steps themselves is not counted.

The error is that of all training digits. The Fréchet distances are those of 10,000 samples of the
run's prior and of 10,000 reconstructions to the 10,000 test digits, in the features of the digit
network; the floor is that of 10,000 training digits. They are measured after the clock has stopped.

Each run is a cell, a JSON file in --out beside its run folder; a cell that exists is not made
again. One that was interrupted must be begun anew, as its seconds are lost: remove its run folder.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch
from benchmarks.speed import bare_passes, timed
from torch import Tensor

import glo
from glo.config.presets import find_preset
from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source
from glo.decoders.decode import decode
from glo.features.base import embed
from glo.features.digits import digit_features
from glo.metrics.fid_kid import frechet_distance
from glo.report import write_report
from glo.runs.run import Run
from glo.training.callbacks import Callback
from glo.utils.json_toml import write_json
from glo.utils.malloc import tune_malloc
from glo.utils.random import permutation
from glo.workflows.train import default_callbacks

__all__ = ["BareSteps", "Budget", "measure", "print_cells"]

STAGES = ("start", "training", "refinement", "prior", "pictures", "report")
_EVERY, _REPEATS, _SAMPLES, _BATCH = 10.0, 3, 10_000, 500


def main() -> None:
    """Make the cells that are missing, and print a table of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--preset", default="mnist")
    parser.add_argument("--epochs", type=int, nargs="+", default=[0], help="0: of the preset")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--limit", type=int, help="training examples, for trials")
    parser.add_argument("--out", type=Path, default=Path("results/budget"))
    choice = parser.parse_args()
    tune_malloc()
    base = Settings(**find_preset(choice.preset).settings, limit=choice.limit)
    for epochs in choice.epochs:
        for seed in choice.seeds:
            settings = replace(base, epochs=epochs or base.epochs, seed=seed)
            name = f"{choice.preset}-{epochs or 'default'}-{seed}"
            path = choice.out / f"{name}.json"
            if not path.is_file():
                found = measure(choice.data, settings, choice.out / "runs" / name)
                write_json(path, found | {"preset": choice.preset, "seed": seed})
    print_cells([json.loads(path.read_text("utf-8")) for path in sorted(choice.out.glob("*.json"))])


def measure(data: str, settings: Settings, folder: Path) -> dict[str, Any]:
    """Train with `settings` as the command does, and return costs, error and distances."""
    watch = Budget(settings)
    samples = open_source(data, SourceOptions(limit=settings.limit))
    callbacks = [*default_callbacks(), watch]
    run = glo.train(samples, settings=settings, run_dir=folder, callbacks=callbacks)
    watch.lap("pictures")
    write_report(run, data=samples)
    watch.lap("report")
    assert run.summary is not None, "a finished run has a summary"
    found = {
        "epochs": settings.epochs_for(len(samples)),
        "n": len(samples),
        "threads": torch.get_num_threads(),
        "bare_step_ms": 1e3 * statistics.median(watch.bare.seconds),
        "bare_step_ms_least": 1e3 * min(watch.bare.seconds),
        "bare_step_ms_most": 1e3 * max(watch.bare.seconds),
        "seconds": watch.seconds,
        "bare_steps": watch.bare_steps,
        "mse": run.summary["mse"],
    }
    return found | _distances(run, samples, data)


@final
class BareSteps:
    """Timer of forward and backward passes of the decoder of a run, on random codes and images.

    Args:
        settings: settings of the run.

    Attributes:
        seconds: seconds of a pass, at each call.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.seconds: list[float] = []

    def __call__(self, decoder: torch.nn.Module, shape: tuple[int, ...]) -> float:
        """Return the seconds of one pass at present; the state of the decoder is unchanged."""
        size, device = self._settings.batch_size, next(decoder.parameters()).device
        generator = torch.Generator().manual_seed(0)
        codes = torch.randn(size, self._settings.code_dim, generator=generator).to(device)
        target = torch.zeros(size, *shape, device=device)
        state = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
        gradients = [parameter.grad for parameter in decoder.parameters()]
        was_training = decoder.training
        decoder.train()
        times = [
            timed(lambda: bare_passes(decoder, [(codes, target)], self._settings), device)
            for _ in range(1 + _REPEATS)
        ]
        decoder.load_state_dict(state)
        decoder.train(was_training)
        for parameter, gradient in zip(decoder.parameters(), gradients, strict=True):
            parameter.grad = gradient
        # The first one warms up.
        self.seconds.append(statistics.median(times[1:]))
        return self.seconds[-1]


@final
class Budget(Callback):
    """Callback that adds up seconds and bare steps of each stage of a run.

    Args:
        settings: settings of the run.

    Attributes:
        seconds: seconds of each stage.
        bare_steps: the same, each interval divided by the seconds of a bare step in it.
        bare: timer of bare steps.
    """

    def __init__(self, settings: Settings) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.bare_steps = dict.fromkeys(STAGES, 0.0)
        self.bare = BareSteps(settings)
        self._began = self._measured = time.perf_counter()
        self._open = dict.fromkeys(STAGES, 0.0)
        self._training: Any = None

    def lap(self, stage: str) -> None:
        """Count the seconds since the last call for a stage."""
        now = time.perf_counter()
        self._open[stage] += now - self._began
        if now - self._measured > _EVERY or stage == "report":
            state, samples = self._training.state, self._training.samples
            bare = self.bare(state.final_decoder, samples.shape)
            for name, seconds in self._open.items():
                self.seconds[name] += seconds
                self.bare_steps[name] += seconds / bare
            self._open = dict.fromkeys(STAGES, 0.0)
            self._measured = time.perf_counter()
        self._began = time.perf_counter()

    def on_train_begin(self, training: Any) -> None:
        """Count reading and the principal components."""
        self._training = training
        self.lap("start")

    def on_step(self, training: Any, record: Any) -> None:
        """Count a step."""
        self.lap("training")

    def on_refine(self, training: Any, rows: int) -> None:
        """Count a batch of the refinement."""
        self.lap("refinement")

    def on_fit(self, training: Any, name: str, share: float) -> None:
        """Count a part of the fit of a prior, the encoder or the anomaly scores."""
        self.lap("prior" if name.endswith("prior") else name)


def _distances(run: Run, samples: Dataset, data: str) -> dict[str, Any]:
    features, settings = digit_features(), run.settings
    test = open_source(data, SourceOptions(split="test"))
    n = min(_SAMPLES, len(samples), len(test))

    def of(images: Tensor) -> Tensor:
        return embed(features, images.split(_BATCH))

    reference = of(test.batch(torch.arange(len(test))[:n]))
    rows = permutation(len(samples), 0, 0)[:n]
    decoder, prior = run.decoder, run.prior()
    codes = {
        "samples": prior.sample(n, seed=settings.seed),
        "more_samples": prior.sample(n, seed=settings.seed, start=n),
        "reconstructions": run.codes[rows],
    }
    found = {
        f"fd_{name}": frechet_distance(of(decode(decoder, part, settings.precision)), reference)
        for name, part in codes.items()
    }
    found["fd_floor"] = frechet_distance(of(samples.batch(rows)), reference)
    return {"prior": prior.name, **found}


def print_cells(cells: list[dict[str, Any]]) -> None:
    """Print a line for each run, the shortest first."""
    columns = ["preset", "epochs", "seed", "seconds", *STAGES, "bare steps", "bare ms", "MSE"]
    columns += ["FD rec.", "FD samples", "ratio", "floor"]
    print(" | ".join(columns))
    for cell in sorted(cells, key=lambda each: sum(each["seconds"].values())):
        steps = cell["bare_steps"]
        ratio = cell["fd_samples"] / cell["fd_reconstructions"]
        figures = [cell["preset"], f"{cell['epochs']}", f"{cell['seed']}"]
        figures += [f"{sum(cell['seconds'].values()):,.0f}"]
        figures += [f"{steps[stage]:,.0f}" for stage in STAGES]
        figures += [f"{sum(steps.values()):,.0f}", f"{cell['bare_step_ms']:.0f}"]
        figures += [f"{cell['mse']:.5f}", f"{cell['fd_reconstructions']:.2f}"]
        figures += [f"{cell['fd_samples']:.2f}", f"{ratio:.2f}", f"{cell['fd_floor']:.2f}"]
        print(" | ".join(figures))


if __name__ == "__main__":
    main()
