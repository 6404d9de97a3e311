"""Error against steps of a cold start and of a warm start from a run on other pictures.

    python benchmarks/emoji.py --out data/emoji
    python benchmarks/warm_start.py data/emoji/train --out results/warm

The pictures are parted at random: 500 are the target, all others the source. A source run is
trained on the others first. Then the target is trained from a new decoder and from that of the
source, with the same settings and schedules of several lengths; a run's error is that of its own
training pictures after its last step, with the refinement of the codes, and each length is a run
of its own, as the learning rates fall to zero at its end.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import glo
from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source


def main() -> None:
    """Train all runs, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="folder or array of pictures")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--target", type=int, default=500, help="pictures of the target")
    parser.add_argument("--source-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 100, 200, 400, 800])
    given = parser.parse_args()
    pictures = open_source(given.data, SourceOptions(size=given.size))
    order = np.random.default_rng(0).permutation(len(pictures))
    target, others = (pictures.subset(np.sort(part)) for part in np.split(order, [given.target]))
    source = given.out / "source"
    train(others, source, given.source_steps)
    print(f"source: {len(others)} pictures, target: {len(target)} of {given.size} x {given.size}")
    print("steps   cold      warm      cold s  warm s")
    for steps in given.steps:
        cold = train(target, given.out / f"cold-{steps}", steps)
        warm = train(target, given.out / f"warm-{steps}", steps, start=str(source))
        print(f"{steps:5}   {cold[0]:.5f}   {warm[0]:.5f}   {cold[1]:6.1f}  {warm[1]:6.1f}")


def train(
    pictures: Dataset, folder: Path, steps: int, *, start: str | None = None
) -> tuple[float, float]:
    """Return the error and the seconds of a run of about `steps` steps."""
    settings = Settings(prior="gaussian", encoder="off", start=start)
    epochs = max(1, round(steps / settings.steps_per_epoch(len(pictures))))
    run = glo.train(pictures, settings=replace(settings, epochs=epochs), run_dir=folder, verbose=0)
    assert run.summary is not None, "the run is finished"
    return run.summary["mse"], run.summary["seconds"]


if __name__ == "__main__":
    main()
