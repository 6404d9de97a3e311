"""Fixed-seed runs: print hashes of codes, samples, inverted codes and a resumed run.

    python -m benchmarks.fixed_seed

Two revisions that print the same lines train, sample, search and resume bit for bit alike. All
data are drawn here, so the hashes depend on the package, torch and the processor only.
"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import glo

RUNS = {
    "digits": [
        "mnist",
        "--limit",
        "400",
        "--width",
        "8",
        "--epochs",
        "3",
        "--prior",
        "flow-matching",
    ],
    "colour": [
        "colour.npy",
        "--decoder",
        "residual",
        "--width",
        "8",
        "--epochs",
        "3",
        "--loss",
        "l1",
    ],
    "table": ["table.npy", "--code-dim", "4", "--epochs", "20"],
}


def digest(*arrays: np.ndarray) -> str:
    """Return the first 16 hex digits of the SHA-256 of the arrays' bytes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def write_data() -> None:
    """Write the colour images and the table with gaps into the working folder."""
    rng = np.random.default_rng(0)
    ramps = rng.random((200, 1, 1, 3)) * np.linspace(0, 1, 16)[None, :, None, None]
    images = np.broadcast_to(ramps, (200, 16, 16, 3)) * rng.random((200, 1, 16, 1))
    np.save("colour.npy", (images * 255).astype(np.uint8))
    table = (rng.standard_normal((300, 3)) @ rng.standard_normal((3, 10))).astype(np.float32)
    table[rng.random(table.shape) < 0.1] = np.nan
    np.save("table.npy", table)


def train(name: str, arguments: list[str], *more: str) -> None:
    """Run `glo train` into the folder `name`."""
    command = [sys.executable, "-m", "glo", "train", *arguments, "--out", name, *more]
    subprocess.run(command, check=True, capture_output=True)


def interrupted(name: str, arguments: list[str]) -> None:
    """Run `glo train`, interrupt it after its first checkpoint, and run the same command again."""
    more = ["--checkpoint-seconds", "0"]
    command = [sys.executable, "-m", "glo", "train", *arguments, "--out", name, *more]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(Path(name).glob("checkpoint/step-*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()
    assert not (Path(name) / "summary.json").exists(), "the run ended before the interrupt"
    train(name, arguments, *more)


def codes_of(name: str) -> np.ndarray:
    """Return the codes of a finished run."""
    return load_file(Path(name) / "checkpoint/final/rows-0-of-1.safetensors")["codes"]


def main() -> None:
    """Print the hashes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_data()
        for name, arguments in RUNS.items():
            train(name, arguments)
            samples = glo.open_run(name).sample(16, seed=1).numpy()
            print(f"{name:8} codes {digest(codes_of(name))}  samples {digest(samples)}", flush=True)
        interrupted("resumed", RUNS["digits"])
        print(f"resumed  codes {digest(codes_of('resumed'))}", flush=True)
        np.save("new.npy", np.load("colour.npy")[:20])
        encode = [sys.executable, "-m", "glo", "encode", "colour", "new.npy"]
        subprocess.run(encode, check=True, capture_output=True)
        with np.load("codes.npz") as found:
            print(f"encoded  codes {digest(found['codes'])}", flush=True)


if __name__ == "__main__":
    main()
