"""Speed of training, relative to the limits of machine and library.

    python benchmarks/speed.py                  # everything, about half an hour on two cores
    python benchmarks/speed.py --parts peak step rows

Parts, all in one process, one after the other, nothing else running:

peak    the machine's matrix products, float32 and bfloat16, best of several sizes
step    training steps against bare forward and backward passes of the same decoder on the same
        batches, in turn, so that a machine whose speed drifts drifts for both; with the default
        optimiser of the decoder (Muon) and with Adam, whose own work is next to nothing
rows    a step at N = 10 thousand, 1 million and 10 million rows, in turn, with memory
budget  the default recipe from the command to the report, in bare steps (`benchmarks/budget.py`)
compile steps with a compiled decoder against steps with the plain one, in turn, in seconds of the
        processor (best with OMP_NUM_THREADS=1)
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glo.config.settings import Settings
from glo.data import Dataset, open_source
from glo.decoders import Decoder
from glo.latents.init import PCA, fit_pca
from glo.losses import MSELoss
from glo.training.loop import train
from glo.training.state import TrainState, init_train_state
from glo.training.statistics import StepRecord
from glo.utils.device import autocast, gains_from_bf16
from glo.utils.malloc import tune_malloc

PARTS = ("peak", "step", "rows", "budget", "compile")
BLOCK = 20
BLOCKS = 8
CPU = torch.device("cpu")
EMPTY = torch.zeros(0)
# Codes that begin at random need none.
UNUSED = PCA(mean=EMPTY, components=EMPTY, variances=EMPTY, mean_image_mse=0.0, pca_mse=0.0)


def main() -> None:
    """Run the selected parts and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    choice = parser.parse_args()
    tune_malloc()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    found: dict[str, float] = {}
    if "peak" in choice.parts:
        found |= peak()
        show(found)
    if "step" in choice.parts:
        optimizers: tuple[Literal["muon", "adam"], ...] = ("muon", "adam")
        for optimizer in optimizers:
            found |= step(found, optimizer)
    if "rows" in choice.parts:
        found |= rows()
    if "budget" in choice.parts:
        found |= budget()
    if "compile" in choice.parts:
        found |= compiling()
    if choice.json:
        choice.json.write_text(json.dumps(found, indent=2) + "\n")


def peak(
    device: torch.device = CPU, sides: tuple[int, ...] = (1024, 2048, 3072)
) -> dict[str, float]:
    """Return the best measured rate of a matrix product for each arithmetic, in GFLOP/s."""
    rates: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        for side in sides:
            a, b = torch.randn(2, side, side, device=device).to(dtype)
            seconds = min(timed(lambda a=a, b=b: a @ b, device) for _ in range(12))  # type: ignore[misc]
            name = f"peak_{str(dtype).removeprefix('torch.')}_gflops"
            rates[name] = max(rates.get(name, 0.0), 2 * side**3 / seconds / 1e9)
    return rates


def step(peaks: dict[str, float], optimizer: Literal["muon", "adam"]) -> dict[str, float]:
    """Compare training steps with bare passes of the decoder, for one optimizer of the decoder."""
    samples = open_source("mnist")
    settings = Settings(device="cpu", decoder_optimizer=optimizer)
    training = init_train_state(samples, settings, fit_pca(samples, settings.code_dim))
    found = compare_with_bare(training, samples)
    arithmetic = "bfloat16" if gains_from_bf16(CPU) else "float32"
    for name in (arithmetic, "float32"):
        if f"peak_{name}_gflops" in peaks:
            share = found["train_gflops"] / peaks[f"peak_{name}_gflops"]
            found[f"train_over_peak_{name}"] = share
    found = {f"{optimizer}_{name}": value for name, value in found.items()}
    show(found)
    return found


def compare_with_bare(
    training: TrainState, samples: Dataset, *, blocks: int = BLOCKS, size: int = BLOCK
) -> dict[str, float]:
    """Time blocks of training steps and of bare passes of the decoder on the same data, in turn."""
    settings, device, steps = training.settings, training.device, steps_of(training, samples)
    decoder = training.decoder
    training_times, bare_times, ratios = [], [], []
    run_block(steps, size)
    for number in range(blocks):
        first = number * size * settings.batch_size
        batches = list(_batches(training, samples, first, size))
        bare = timed(lambda batches=batches: bare_passes(decoder, batches, settings), device)  # type: ignore[misc]
        whole = timed(lambda: run_block(steps, size), device)
        training_times.append(whole / size)
        bare_times.append(bare / size)
        ratios.append(whole / bare)
    per_step = statistics.median(training_times)
    flops = 3 * _flops(training.decoder, device) * settings.batch_size
    return {
        "train_images_per_second": settings.batch_size / per_step,
        "train_step_ms": 1e3 * per_step,
        "bare_forward_backward_ms": 1e3 * statistics.median(bare_times),
        "training_over_bare": statistics.median(ratios),
        "train_gflops": flops / per_step / 1e9,
    }


def _flops(decoder: Decoder, device: torch.device) -> int:
    """Count the operations of one forward pass for one example."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        decoder.eval()(torch.zeros(1, decoder.code_dim, device=device))
    return int(counter.get_total_flops())


def rows() -> dict[str, float]:
    """Time a step at three sizes of the data set, in turn."""
    sizes = (10_000, 1_000_000, 10_000_000)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for n in sizes:
            before = _resident_mb()
            samples = large(n, Path(folder) / f"{n}.bin")
            steps = steps_of(begin_large(samples), samples)
            run_block(steps)
            found[f"memory_mb_at_{n}"] = _resident_mb() - before
            runs[n] = steps
        times: dict[int, list[float]] = {n: [] for n in sizes}
        for _ in range(BLOCKS):
            for n, steps in runs.items():
                times[n].append(timed(lambda steps=steps: run_block(steps)) / BLOCK)  # type: ignore[misc]
    for n in sizes:
        found[f"step_ms_at_{n}"] = 1e3 * statistics.median(times[n])
        pairs = [own / first for own, first in zip(times[n], times[sizes[0]], strict=True)]
        found[f"step_at_{n}_over_{sizes[0]}"] = statistics.median(pairs)
    show(found)
    return found


def budget() -> dict[str, float]:
    """Measure the default recipe from the command to its report, in bare steps of its decoder."""
    # So that `python benchmarks/speed.py` works as well as `python -m benchmarks.speed`.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.budget import measure, print_cells

    with tempfile.TemporaryDirectory() as folder:
        cell = measure("mnist", Settings(), Path(folder) / "run")
    print_cells([cell | {"preset": "mnist", "seed": 0}])
    found = {f"bare_steps_{stage}": steps for stage, steps in cell["bare_steps"].items()}
    return found | {
        f"run_{name}": cell[name] for name in ("mse", "fd_reconstructions", "fd_samples")
    }


def compiling() -> dict[str, float]:
    """Compare a compiled decoder with the plain one: the median ratio of blocks in turn."""
    rng = np.random.default_rng(0)
    vectors = Dataset(rows=rng.normal(size=(10_000, 64)).astype("float32"), name="vectors")
    mnist = open_source("mnist")
    cases: list[tuple[str, Dataset, Literal["bf16", "float32"], int]] = [
        ("dcgan_bf16", mnist, "bf16", 5),
        ("dcgan_float32", mnist, "float32", 5),
        ("mlp_float32", vectors, "float32", 50),
    ]
    found: dict[str, float] = {}
    for name, samples, precision, block in cases:
        plain, made = (_begun(samples, precision, compile=each) for each in (False, True))
        # The first block compiles, in programs of their own.
        for steps in (plain, made):
            run_block(steps, block)
        pairs = []
        for _ in range(BLOCKS):
            pairs.append([_worked(lambda s=s, b=block: run_block(s, b)) for s in (plain, made)])  # type: ignore[misc]
        found[f"{name}_step_ms"] = 1e3 * statistics.median(own for own, _ in pairs) / block
        found[f"{name}_compiled_step_ms"] = 1e3 * statistics.median(own for _, own in pairs) / block
        found[f"{name}_compiled_over_plain"] = statistics.median(b / a for a, b in pairs)
    show(found)
    return found


def _begun(
    samples: Dataset, precision: Literal["bf16", "float32"], *, compile: bool
) -> Iterator[StepRecord]:
    settings = Settings(device="cpu", precision=precision, compile=compile, init="gaussian")
    if not samples.is_images:
        settings = replace(settings, decoder="mlp")
    return steps_of(init_train_state(samples, settings, UNUSED), samples)


def large(n: int, path: Path | None = None) -> Dataset:
    """Make n images of 32 x 32 that take no room, in a file or in memory: nearly all are zero."""
    shape = (n, 32, 32, 1)
    # Reading a row of a sparse file costs what any would.
    data = np.memmap(path, np.uint8, "w+", shape=shape) if path else np.zeros(shape, np.uint8)
    digits = open_source("mnist").rows[: min(n, 1000)]
    data[: len(digits)] = digits
    return Dataset(rows=data, name=f"{n} rows")


def begin_large(samples: Dataset, device: str = "cpu") -> TrainState:
    """Start a run of the default recipe with random codes."""
    settings = Settings(init="gaussian", gaussian_std=0.1, epochs=100, device=device)
    return init_train_state(samples, settings, UNUSED)


def steps_of(training: TrainState, samples: Dataset) -> Iterator[StepRecord]:
    """Yield the steps of a run."""
    return (record for record in train(training, samples) if isinstance(record, StepRecord))


def run_block(steps: Iterator[StepRecord], count: int = BLOCK) -> None:
    """Make some steps."""
    for _ in range(count):
        next(steps)


def _batches(
    training: TrainState, samples: Dataset, first: int, count: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    size, device = training.settings.batch_size, training.device
    for low in range(first, first + count * size, size):
        rows = torch.arange(low, low + size) % len(samples)
        yield training.codes[rows].to(device), samples.batch(rows).to(device)


def bare_passes(
    decoder: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]], settings: Settings
) -> None:
    """Decode batches of codes, and compute the gradients of the squared error to their targets."""
    loss = MSELoss()
    for codes, target in batches:
        codes.requires_grad_()
        with autocast(codes.device, settings.precision):
            output = decoder(codes)
        loss(output, target).mean().backward()
        decoder.zero_grad(set_to_none=True)


def timed(work: Callable[[], object], device: torch.device = CPU) -> float:
    """Return the seconds of some work, with all that it left to be done on the device."""
    _synchronize(device)
    began = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def show(found: dict[str, float]) -> None:
    """Print figures, one a line."""
    for name, value in found.items():
        print(f"{name:34s} {value:10.3f}", flush=True)


def _worked(work: Callable[[], object]) -> float:
    # Seconds of the processor, all threads together: what else runs does not count.
    began = time.process_time()
    work()
    return time.process_time() - began


def _resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096 / 2**20


if __name__ == "__main__":
    main()
