"""Training beyond memory: codes, moments and data in files, against all in memory.

    python benchmarks/large.py --out results/large

Ten million synthetic vectors of 64 numbers (a linear map of 16 random ones and noise) are written
to a .npy file, piece by piece. Then `glo train` runs twice over it, each in a process of its own:
with `--code-memory-gib` as the budget says, and without. Printed are the seconds of a step, the
largest memory of the process (allocated, and resident with mapped files),
and the error. Where the machine lets us, the first run is also put under a hard limit of that size
(a memory control group): what does not fit is then killed, not swapped. Both runs mix the rows of
`--within` at a time, so they visit the same rows in the same steps.

It takes 10 GB of disk, and of memory in the second run.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

_ROWS = 2**18
_RANK = 16
# What glo ends with when it was interrupted and has saved.
_STOPPED = 130


def main() -> None:
    """Generate the data, train twice, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--budget", type=float, default=2.0, help="GiB")
    parser.add_argument("--within", type=int, default=2**18, help="rows that are mixed; 0: all")
    parser.add_argument("--steps", type=int, help="stop each run after about so many")
    parser.add_argument("--hard", action="store_true", help="also as a hard limit of the group")
    parser.add_argument("--out", type=Path, required=True)
    choice = parser.parse_args()
    choice.out.mkdir(parents=True, exist_ok=True)
    data = make_vectors(choice.out / "vectors.npy", choice.n, choice.features)
    runs = {"on disk": ["--code-memory-gib", str(0.25 * choice.budget)], "in memory": []}
    found = {}
    for name, more in runs.items():
        limit = choice.budget if name == "on disk" and choice.hard else None
        found[name] = _run(choice, data, choice.out / name.replace(" ", "-"), more, limit)
        (choice.out / "large.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    text = _table(found, choice)
    (choice.out / "large.md").write_text(text, "utf-8")
    print(text)


def make_vectors(path: Path, n: int, features: int) -> Path:
    """Write n vectors to a .npy file in chunks, unless it exists."""
    if path.is_file() and np.load(path, mmap_mode="r").shape == (n, features):
        return path
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(_RANK, features)).astype(np.float32)
    rows = open_memmap(path, mode="w+", dtype=np.float32, shape=(n, features))
    for first in range(0, n, _ROWS):
        count = min(_ROWS, n - first)
        hidden = rng.normal(size=(count, _RANK)).astype(np.float32)
        noise = 0.1 * rng.normal(size=(count, features)).astype(np.float32)
        rows[first : first + count] = np.tanh(hidden) @ mix + noise
    rows.flush()
    return path


def _run(
    choice: argparse.Namespace, data: Path, out: Path, more: list[str], limit: float | None
) -> dict[str, Any]:
    words = [
        "train",
        data,
        "--out",
        out,
        "--code-dim",
        choice.dim,
        "--epochs",
        1,
        "--refine-passes",
        1,
    ]
    words += [
        "--shuffle-buffer",
        choice.within,
        "--batch-size",
        choice.batch,
        "--prior",
        "gaussian",
        "--checkpoint-seconds",
        1e9,
        *more,
    ]
    command = [sys.executable, "-m", "glo", *map(str, words)]
    group = _group(limit)
    began = time.perf_counter()
    with (choice.out / f"{out.name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        if group:
            (group / "cgroup.procs").write_text(str(process.pid))
        peak = _watch(process, out / "metrics.jsonl", choice.steps)
    if process.returncode not in (0, _STOPPED):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}; see {log.name}")
    lines = (out / "metrics.jsonl").read_text().splitlines()
    steps = [each for each in map(json.loads, lines) if each["kind"] == "step"]
    summary = out / "summary.json"
    return {
        "step_ms": 1e3 * statistics.median(each["seconds"] for each in steps),
        "seconds": time.perf_counter() - began,
        "hard_limit_gib": limit if group else None,
        "mse": json.loads(summary.read_text())["mse"] if summary.is_file() else None,
        **peak,
    }


def _watch(process: subprocess.Popen[bytes], journal: Path, most: int | None) -> dict[str, float]:
    """Return the largest memory of a process until it ends, in GiB; stop it after `most` steps."""
    peak = {"own_gib": 0.0, "resident_gib": 0.0}
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            for name, field in (("own_gib", "RssAnon"), ("resident_gib", "VmRSS")):
                peak[name] = max(peak[name], int(lines[field].split()[0]) / 2**20)
        except (OSError, KeyError):
            pass
        time.sleep(0.1)
        if most is not None and journal.is_file() and _last_step(journal) >= most:
            process.send_signal(signal.SIGINT)
            most = None
    return peak


def _last_step(journal: Path) -> int:
    lines = journal.read_text().splitlines()
    return max((json.loads(line).get("step", 0) for line in lines), default=0)


def _group(limit: float | None) -> Path | None:
    """Create a memory control group (version 1 or 2) below the current one, or return None."""
    if limit is None:
        return None
    size = str(int(limit * 2**30))
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup" + ("/memory" if kinds == "memory" else "") + path)
        name = "memory.limit_in_bytes" if kinds == "memory" else "memory.max"
        if kinds not in ("", "memory"):
            continue
        group = root / f"glo-large-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(size)
        except OSError:
            continue
        return group
    return None


def _table(found: dict[str, dict[str, Any]], choice: argparse.Namespace) -> str:
    lines = [
        f"{choice.n:,} rows of {choice.features} numbers, D {choice.dim}, B {choice.batch}, one "
        f"epoch, mixed within {choice.within:,}, one pass of code refinement; "
        f"budget {choice.budget:g} GiB.",
        "",
        "| rows | step, ms | own memory, GiB | resident, GiB | hard limit | seconds | MSE |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        hard = "" if row["hard_limit_gib"] is None else f"{row['hard_limit_gib']:g} GiB"
        lines.append(
            f"| {name} | {row['step_ms']:.2f} | {row['own_gib']:.2f} | {row['resident_gib']:.2f} | "
            f"{hard} | {row['seconds']:.0f} | {_error(row['mse'])} |"
        )
    disk, memory = found["on disk"]["step_ms"], found["in memory"]["step_ms"]
    return "\n".join([*lines, "", f"A step on disk takes {disk / memory:.2f} times one in memory."])


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
