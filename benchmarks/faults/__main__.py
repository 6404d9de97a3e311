"""Fault injection: break runs, complete each by the same command, and compare the bits.

    python -m benchmarks.faults --out results/faults

A fault is survived if the run, resumed by the same command as often as it takes, ends with the same
bits in weights, codes, moments, errors and priors, the same records and the same files as the run
without faults; if no kill removed a checkpoint; and if the fault was reported in a message. Faults
after which the numbers must differ (NaN) have to end with finite ones. Anything else is lost, and
the exit code is then 1.

The runs are tiny: 120 vectors or 60 images of 8 x 8, 8 to 30 steps, a checkpoint after every step;
those of two processes save at every tenth. Each process is a fork of one that has imported
everything, and omits report.html, which is written after a run is complete. Writes before kill -9
survive in the operating system, so a memory-backed folder gives the same result as a disk; power
cuts are not tested.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# So that `python benchmarks/faults` works as well as `python -m benchmarks.faults`.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PARTS = ("kills", "signals", "damage", "disk", "writers", "numbers", "processes")


def main() -> int:
    """Inject all faults, print the table and return the exit code."""
    if sys.argv[1:2] == ["--work"]:
        from benchmarks.faults.restarts import work

        return work(int(sys.argv[2]), sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="kills in all, of one process")
    parser.add_argument("--times", type=int, default=5, help="of the other faults")
    parser.add_argument("--files", type=int, default=99, help="files damaged in each way, 99: all")
    parser.add_argument("--torchrun", type=int, default=2, help="kills under torchrun, 0: none")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="kinds of faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work-folder", type=Path, help="where the runs are made")
    parser.add_argument("--out", type=Path)
    choice = parser.parse_args()
    began = time.time()
    with tempfile.TemporaryDirectory(dir=choice.work_folder, prefix="glo-faults-") as folder:
        tried = list(_printed(_all(Path(folder), choice)))
    found = _about(choice, time.time() - began) | {"faults": _rows(tried)}
    found["failures"] = [f"{each.fault}: {each.lost}" for each in tried if each.lost]
    text = _table(found)
    print(text)
    if choice.out:
        choice.out.mkdir(parents=True, exist_ok=True)
        (choice.out / "faults.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (choice.out / "faults.md").write_text(text, "utf-8")
    return 1 if found["failures"] else 0


def _all(folder: Path, choice: argparse.Namespace) -> Iterator[Any]:
    from benchmarks.faults import damage, disk, kills, numbers, restarts, stops
    from benchmarks.faults.case import make_cases
    from benchmarks.faults.forked_run import import_modules

    import_modules()
    rng, times = random.Random(choice.seed), choice.times
    cases = make_cases(folder)
    vectors, images = next(cases), next(cases)
    if "kills" in choice.parts:
        half = choice.kills // 2
        yield from kills.kill_repeatedly(vectors, rng, choice.kills - half)
        yield from kills.kill_repeatedly(images, rng, half)
    if "signals" in choice.parts:
        yield from stops.stop_with((vectors, images), rng, times)
    if "damage" in choice.parts:
        yield from damage.damage_each_file((vectors, images), rng, choice.files)
        yield from damage.edit_manifest(vectors, rng, choice.files)
        yield from damage.damage_all(vectors, rng)
    if "disk" in choice.parts:
        yield from disk.fill_disk(images, rng, times)
        yield from disk.limit_files(images, rng, times)
    if "writers" in choice.parts:
        yield from stops.two_writers(images, rng, times)
    if "numbers" in choice.parts:
        yield from numbers.plant_in_data(vectors, rng, times)
        yield from numbers.plant_in_training(vectors, rng, times)
    if "processes" in choice.parts:
        two = next(cases)
        yield from damage.remove_shards(two, rng, choice.files)
        yield from kills.kill_one_of_two(two, rng, times)
        yield from stops.stop_one_of_two(two, rng, times)
        yield from restarts.kill_under_torchrun(two, choice.torchrun)


def _printed(tried: Iterator[Any]) -> Iterator[Any]:
    for each in tried:
        if each.lost:
            print(f"LOST  {each.fault}: {each.lost}", flush=True)
        elif not sys.stdout.isatty():
            print(f"ok    {each.fault}", flush=True)
        yield each


def _rows(tried: list[Any]) -> list[dict[str, Any]]:
    times, lost = Counter(a.fault for a in tried), Counter(a.fault for a in tried if a.lost)
    return [
        {"fault": name, "tried": n, "survived": n - lost[name], "lost": lost[name]}
        for name, n in times.items()
    ]


def _about(choice: argparse.Namespace, seconds: float) -> dict[str, Any]:
    import torch

    words = (
        f"--{name} {getattr(choice, name)}" for name in ("kills", "times", "files", "torchrun")
    )
    return {
        "command": f"python -m benchmarks.faults {' '.join(words)} --seed {choice.seed}",
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(seconds),
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _table(found: dict[str, Any]) -> str:
    lines = ["| fault | tried | survived | lost |", "| --- | --- | --- | --- |"]
    for row in found["faults"]:
        lines.append(f"| {row['fault']} | {row['tried']} | {row['survived']} | {row['lost']} |")
    lines += [
        "",
        f"`{found['command']}`, {found['seconds']} s, {found['date']}, one thread of "
        f"{found['machine']}, Python {found['python']}, torch {found['torch']}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
