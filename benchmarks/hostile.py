"""Untrusted files in every reader: each must be refused with a message or skipped.

    python benchmarks/hostile.py --out hostile.json

Files are made from a seed, family by family, and read in worker processes. A worker that has not
answered after ten seconds of processor time, or a minute of waiting, is killed. It may take so much
memory above what it had before, and a hard limit stops it a little later. The exit code is 1 if a
reader showed a traceback, hung or took more.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hostile_files.every import NAMES, PLACES, make_families
from hostile_files.places import good_image
from hostile_files.template import make_template

OUTCOMES = ("clear error", "skipped", "accepted", "traceback", "hang", "memory")
BAD = OUTCOMES[3:]
MIB = 2**20
# Virtual memory that a process may map beyond what is counted: files, and arrays never touched.
SLACK = 6 * 2**30
# Seconds for a reader that waits and does not compute.
MOST_WAITED = 60.0


@dataclass(frozen=True)
class Hostile:
    """One file: replaced file, family, path, and whether it is kept."""

    kind: str
    family: str
    path: Path


@dataclass(frozen=True)
class Read:
    """Result of one reader on one file."""

    kind: str
    family: str
    reader: str
    outcome: str
    seconds: float
    mib: float
    said: str


def make_files(root: Path, seed: int, most: int, kinds: list[str] | None) -> Iterator[Hostile]:
    """Yield hostile files lazily, each in its own folder."""
    for kind, families in make_families(root / "run").items():
        if kinds and kind not in kinds:
            continue
        # Images are what most people take from others.
        count = 2 * most if kind in ("image", "name or place") else most
        for family, maker in families.items():
            for number in range(count):
                random = np.random.default_rng(
                    [seed, zlib.crc32(f"{kind} {family}".encode()), number]
                )
                folder = (
                    root / "files" / f"{kind}-{family}-{number}".replace(" ", "-").replace(".", "-")
                )
                folder.mkdir(parents=True)
                yield Hostile(kind, family, _placed(folder, kind, maker, random, number))
                shutil.rmtree(folder)


def _placed(folder: Path, kind: str, maker: Any, random: np.random.Generator, number: int) -> Path:
    if kind in ("image", "name or place"):
        (folder / "in").mkdir()
        (folder / "in" / "good.png").write_bytes(good_image())
    if kind == PLACES:
        return maker(folder / "in", random)
    names = NAMES.get(kind, ("hostile.bin",))
    path = folder / ("in" if kind == "image" else "") / names[number % len(names)]
    path.write_bytes(maker(random))
    return path


def work(tasks: Connection, memory: int) -> None:
    """Worker loop: read each file sent, and send back the result."""
    sys.path.insert(0, str(Path(__file__).parent))
    from hostile_readers import READERS

    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    torch.set_num_threads(1)
    hard = _status("VmSize") + memory + SLACK
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    tasks.send("ready")
    while True:
        kind, reader, path, root = tasks.recv()
        _reset_peak()
        before, began = _status("VmRSS"), time.process_time()
        outcome, said = _attempt(READERS[kind][reader], path, root)
        took, peak = time.process_time() - began, max(0, _status("VmHWM") - before)
        if peak > memory:
            outcome = "memory"
        tasks.send((outcome, took, peak / MIB, said))


def _attempt(reader: Any, path: Path, root: Path) -> tuple[str, str]:
    from glo.errors import UserError

    try:
        return reader(path, root), ""
    except UserError as error:
        said = str(error)
        # One sentence that a terminal can show.
        fine = said.isprintable() and 0 < len(said) < 4200
        return ("clear error" if fine else "traceback"), said
    except BaseException:
        return "traceback", traceback.format_exc()[-3000:]


def _status(name: str) -> int:
    """Return a memory size of this process from /proc, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"This system does not tell {name}; run on Linux.")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class Worker:
    """Reader process, replaced when it dies or is killed."""

    def __init__(self, memory: int, seconds: float) -> None:
        self.memory, self.seconds, self.started = memory, seconds, 0
        self._start()

    def _start(self) -> None:
        self._here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=work, args=(there, self.memory), daemon=True)
        self._process.start()
        there.close()
        self.started += 1
        if not self._here.poll(300) or self._here.recv() != "ready":
            raise SystemExit("A worker could not start.")

    def read(self, kind: str, reader: str, path: Path, root: Path) -> tuple[str, float, float, str]:
        """Return outcome, seconds, additional MiB, and the message."""
        began, waited = self._used(), time.monotonic()
        self._here.send((kind, reader, path, root))
        try:
            while not self._here.poll(0.2):
                if self._used() - began > self.seconds or time.monotonic() - waited > MOST_WAITED:
                    return self._ended("hang")
            found: tuple[str, float, float, str] = self._here.recv()
            # Slower than the limit, and yet answered: no better than a hang.
            return ("hang", *found[1:]) if found[1] > self.seconds else found
        except EOFError:
            return self._ended("memory")

    def _used(self) -> float:
        """Return the processor time of the worker in seconds, independent of other programs."""
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return 0.0
        return sum(map(int, text.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def _ended(self, outcome: str) -> tuple[str, float, float, str]:
        self.close()
        code = self._process.exitcode
        self._start()
        return outcome, self.seconds, float("nan"), f"the worker was ended, code {code}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def read_all(root: Path, chosen: argparse.Namespace) -> Iterator[Read]:
    """Yield the results of every reader on every applicable file."""
    sys.path.insert(0, str(Path(__file__).parent))
    from hostile_readers import READERS

    worker = Worker(chosen.memory * MIB, chosen.seconds)
    for hostile in make_files(root, chosen.seed, chosen.each, chosen.kind):
        for reader in READERS[hostile.kind]:
            (root / "work").mkdir()
            found = worker.read(hostile.kind, reader, hostile.path, root)
            if found[0] in BAD and chosen.keep is not None:
                _keep(hostile, chosen.keep)
            for name in ("work", "cache"):
                shutil.rmtree(root / name, ignore_errors=True)
            (root / "outside.txt").touch()
            yield Read(hostile.kind, hostile.family, reader, *found)
    worker.close()


def _keep(hostile: Hostile, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if hostile.path.is_file() and hostile.path.stat().st_size < 2**28:
        shutil.copy(hostile.path, folder / f"{hostile.path.parts[-2]}-{hostile.path.name}"[-200:])


def table(reads: list[Read], *, by_family: bool) -> str:
    """Return a Markdown table: kind of file and reader, or kind and family, and the outcomes."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for read in reads:
        name = read.family if by_family else read.reader
        counts.setdefault((read.kind, name), Counter())[read.outcome] += 1
    second = "family" if by_family else "reader"
    lines = [f"| file | {second} | " + " | ".join(OUTCOMES) + " |", "| --- | --- |" + " ---: |" * 6]
    for (kind, name), count in counts.items():
        lines.append(f"| {kind} | {name} | " + " | ".join(str(count[o]) for o in OUTCOMES) + " |")
    total = Counter(read.outcome for read in reads)
    lines.append("| all | | " + " | ".join(str(total[o]) for o in OUTCOMES) + " |")
    return "\n".join(lines)


def main() -> int:
    """Make the files, read them, and print the table."""
    about = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    about.add_argument("--seed", type=int, default=0)
    about.add_argument("--each", type=int, default=3, help="files of a family; of images twice")
    about.add_argument("--seconds", type=float, default=10.0, help="limit for one reader and file")
    about.add_argument("--memory", type=int, default=1536, help="limit in MiB above what it had")
    about.add_argument("--kind", action="append", help="only files of this kind")
    about.add_argument("--families", action="store_true", help="a line for each family")
    about.add_argument("--keep", type=Path, help="folder for the files that a reader failed on")
    about.add_argument("--out", type=Path, help="write every single result as JSON")
    chosen = about.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        root = Path(name)
        make_template(root / "run")
        (root / "outside.txt").touch()
        began, reads = time.monotonic(), list[Read]()
        # Who stops it gets the table of what was read so far.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            for read in read_all(root, chosen):
                reads.append(read)
                if read.outcome in BAD:
                    print(f"{read.outcome}: {read.kind}, {read.family}, {read.reader}: {read.said}")
    if chosen.out is not None:
        chosen.out.write_text(json.dumps([asdict(read) for read in reads]), "utf-8")
    print(table(reads, by_family=chosen.families))
    slowest, largest = max(read.seconds for read in reads), np.nanmax([read.mib for read in reads])
    print(
        f"{len(reads):,} readings in {time.monotonic() - began:.0f} s; the slowest took "
        f"{slowest:.1f} s, the largest {largest:,.0f} MiB."
    )
    return int(any(read.outcome in BAD for read in reads))


if __name__ == "__main__":
    sys.exit(main())
