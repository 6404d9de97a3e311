"""Encode a million images by the encoder, by several processes: seconds of the whole command.

    glo train mnist --out runs/mnist
    python -m benchmarks.encode_many runs/mnist
    python -m benchmarks.encode_many runs/mnist --n 20000 --processes 1 --search refine

The images are training digits moved by up to two pixels, as one .npy file of uint8. The time is
that of `torchrun -m glo encode` from its start to its end: starts of Python, reading, encoding, one
decoding of each code for its residual, the table of all rows and the pictures.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from glo.data import SourceOptions, open_source

_BLOCK, _SHIFT = 10_000, 2


def main() -> None:
    """Make the images, encode them, and print the speed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    parser.add_argument("--search", default="encoder", choices=("encoder", "refine", "full"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(folder / "images.npy", given.n)
        command = [sys.executable, "-m"]
        if given.processes > 1:
            command += ["torch.distributed.run", "--standalone", "--nproc-per-node"]
            command += [str(given.processes), "-m"]
        command += ["glo", "encode", str(given.run), str(folder / "images.npy")]
        command += ["--search", given.search, "--out", str(folder / "codes.npz")]
        start = time.perf_counter()
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        seconds = time.perf_counter() - start
        with np.load(folder / "codes.npz") as table:
            assert len(table["codes"]) == given.n, "every image has a code"
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"{given.n:,} images by {given.processes} processes, {given.search}: {seconds:.0f} s, "
        f"{given.n / seconds:,.0f} images/s; at most {peak:.2f} GiB of memory by a process"
    )


def write_images(path: Path, n: int) -> None:
    """Write n digits (n, 32, 32), uint8, each moved at random."""
    digits = open_source("mnist", SourceOptions(size=32)).rows
    rng = np.random.default_rng(0)
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, 32, 32))
    for first in range(0, n, _BLOCK):
        rows = rng.integers(0, len(digits), min(_BLOCK, n - first))
        shift = tuple(rng.integers(-_SHIFT, _SHIFT + 1, 2))
        images[first : first + len(rows)] = np.roll(digits[rows][..., 0], shift, axis=(1, 2))
    images.flush()


if __name__ == "__main__":
    main()
