"""Held-out error of a small run while it trains, and what patience does for it.

    OMP_NUM_THREADS=1 python -m benchmarks.validation --out results/validation

Trains on the first digits of MNIST twice, to the end and with patience, with a twentieth of them
held out. Prints training and held-out error of every check, the epoch of the best one, and of both
runs the error of test digits by the full search. Writes figures.json and curve.png; a run that is
finished is not trained again.
"""

import argparse
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from benchmarks.rows import write_json

import glo
from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run
from glo.workflows.encode import encode_dataset, prepare_search


def main() -> None:
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=int, default=500, help="digits, with the held-out ones")
    parser.add_argument("--width", type=int, default=Settings.width)
    parser.add_argument("--fraction", type=float, default=0.05)
    parser.add_argument("--patience", type=int, default=5)
    parser.add_argument("--test", type=int, default=2000, help="test digits")
    parser.add_argument("--out", type=Path, required=True)
    choice = parser.parse_args()
    torch.set_num_threads(1)
    test = open_source("mnist", SourceOptions(split="test", limit=choice.test))
    figures: dict[str, Any] = {}
    for name, patience in (("patience", choice.patience), ("end", None)):
        settings = Settings(
            limit=choice.limit,
            width=choice.width,
            validation=choice.fraction,
            patience=patience,
            prior="gaussian",
        )
        run = glo.train("mnist", settings=settings, run_dir=choice.out / name, verbose=0)
        figures[name] = measure(run, test)
        show(name, figures[name], choice.test)
    lower = 1 - figures["patience"]["test_mse"] / figures["end"]["test_mse"]
    print(f"With patience the error of test digits is {100 * lower:.1f} % lower.")
    write_json(choice.out / "figures.json", figures)
    draw(figures, choice.out / "curve.png")


def measure(run: Run, test: Dataset) -> dict[str, Any]:
    """Return the checks, the outcome and the error of test digits of a finished run."""
    summary = run.summary
    assert summary is not None, "the run is finished"
    records = read_metrics_log(run.folder / "metrics.jsonl")
    found = encode_dataset(run, test, prepare_search(run))
    residuals = torch.cat([batch.inversion.residuals for batch in found])
    return {
        "checks": [
            {name: record[name] for name in ("epoch", "mse", "validation_mse")}
            for record in records
            if "validation_mse" in record
        ],
        **summary["validation"],
        "diagnosis": summary["diagnosis"],
        "seconds": summary["seconds"],
        "training_mse": summary["mse"],
        "check_epochs": check_epochs(records),
        "test_mse": float(residuals.double().mean()),
    }


def check_epochs(records: list[dict[str, Any]]) -> float:
    """Return the median duration of a check in epochs without one."""
    epochs = [record for record in records if record["kind"] == "epoch"]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for before, after in pairwise(epochs):
        seconds["validation_mse" in after].append(after["elapsed"] - before["elapsed"])
    return statistics.median(seconds[True]) / statistics.median(seconds[False]) - 1


def show(name: str, figures: dict[str, Any], test: int) -> None:
    """Print the checks and the outcome of a run."""
    print(f"\n{name}\nepoch   training   held out")
    for check in figures["checks"]:
        mark = "  best" if check["epoch"] == figures["best_epoch"] else ""
        print(f"{check['epoch']:5}   {check['mse']:8.5f}   {check['validation_mse']:8.5f}{mark}")
    print(
        f"{figures['epochs']} epochs in {figures['seconds']:.0f} s, best epoch "
        f"{figures['best_epoch']}; at the end MSE "
        f"{figures['training_mse']:.5f} on training digits, "
        f"{figures['mse']:.5f} on {figures['n']} held-out digits by the short search, "
        f"{figures['test_mse']:.5f} on {test} test digits by the full search; a check "
        f"took {figures['check_epochs']:.2f} epochs",
        *figures["diagnosis"],
        sep="\n",
        flush=True,
    )


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw training and held-out error over the epochs, and the epochs of patience."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    checks, stopped = figures["end"]["checks"], figures["patience"]
    epochs = [check["epoch"] for check in checks]
    for name, label in (("validation_mse", "held-out digits"), ("mse", "training digits")):
        axes.plot(epochs, [check[name] for check in checks], marker=".", label=label)
    axes.axvline(stopped["best_epoch"], color="0.3", linestyle="--", label="kept by patience")
    axes.axvline(stopped["epochs"], color="0.3", linestyle=":", label="stopped by patience")
    top = 2 * stopped["best_mse"]
    axes.set(xlabel="epoch", ylabel="mean squared error", ylim=(0, top))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
