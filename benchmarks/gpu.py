"""Speed of training on a GPU, relative to the limits of the device, within eight minutes.

    python -m benchmarks.gpu --json results/gpu.json
    python -m benchmarks.gpu --device cpu --quick     # every part in miniature, without a GPU

From the root of a checkout, nothing else running. No network is needed: MNIST is part of the
package, and the color pictures are computed. Each part is a process with a limit in seconds, at
which it is killed; the figures that it has by then are kept.

peak            matrix products in float32 and bfloat16, best of several sizes
mnist           training steps of the default recipe against bare forward and backward passes of the
                decoder on the same batches, in turn
mnist-compiled  the same with a compiled decoder, against the plain decoder
color           the same with the preset colour-64, and with larger batches
color-compiled  the same with a compiled decoder
rows            steps at N = 10 thousand and ten million: images in memory, copied to the device
                where they fit, and in a file; codes and moments on the device where they fit
recipe          the default recipe on MNIST from the initial codes to its last step, or as many
                epochs as the limit allows; without refinement and prior
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from benchmarks.speed import (
    UNUSED,
    begin_large,
    compare_with_bare,
    large,
    peak,
    run_block,
    show,
    steps_of,
    timed,
)

from glo.config.presets import PRESETS
from glo.config.settings import Settings
from glo.data import Dataset, open_source
from glo.latents.init import fit_pca
from glo.training.loop import train
from glo.training.state import init_train_state
from glo.training.statistics import EpochRecord
from glo.utils.device import find_device, gains_from_bf16
from glo.utils.malloc import tune_malloc

Figures = dict[str, float]
End = Literal["complete", "limit", "failed", "left out"]

MAX_SECONDS = 470.0
DEFAULTS = Settings()


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes of the measurements.

    Attributes:
        blocks: number of blocks of steps whose median is taken.
        steps: steps of a block.
        sides: sides of the square matrices of the peak.
        batches: batch sizes of the color pictures.
        n_pictures: number of color pictures.
        n_rows: numbers of rows: a few, and many.
        recipe: settings of the recipe.
        limit: number of digits of the recipe; None: all.
    """

    blocks: int = 5
    steps: int = 100
    sides: tuple[int, ...] = (4096, 8192, 16384)
    batches: tuple[int, ...] = (16, 128)
    n_pictures: int = 4096
    n_rows: tuple[int, int] = (10_000, 10_000_000)
    recipe: Settings = DEFAULTS
    limit: int | None = None


QUICK = Scale(
    blocks=2,
    steps=2,
    sides=(256,),
    batches=(2, 4),
    n_pictures=16,
    n_rows=(1_000, 100_000),
    recipe=Settings(width=4, epochs=2),
    limit=512,
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of the benchmark: a function that yields figures as they are measured, and its limit."""

    measure: Callable[[torch.device, Scale], Iterator[Figures]]
    limit: float


def main() -> None:
    """Run the selected parts in processes of their own, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:1, cpu")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether every part works")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    choice = parser.parse_args()
    device = find_device(choice.device)
    if device.type == "cpu" and choice.device == "auto":
        parser.error("torch finds no GPU here; give --device cpu --quick for a trial without one")
    if choice.into:
        (name,) = choice.parts
        measure(name, device, QUICK if choice.quick else Scale(), choice.into)
        return
    result = describe(device) | {"quick": choice.quick, "parts": {}, "figures": {}}
    for line in ("machine", "torch", "date"):
        print(f"{line:34s} {result[line]}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--device", str(device), *(["--quick"] if choice.quick else [])]
        run_parts(choice.parts, arguments, Path(folder), result)
    result["figures"] |= shares(result["figures"], gains_from_bf16(device))
    show(result["figures"])
    if choice.json:
        choice.json.parent.mkdir(parents=True, exist_ok=True)
        choice.json.write_text(json.dumps(result, indent=2) + "\n")


def describe(device: torch.device) -> dict[str, Any]:
    """Return the machine, the versions and the date."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        size = properties.total_memory / 2**30
        machine = f"{properties.name}, {size:.0f} GiB; {machine}"
    versions = f"{torch.__version__}, CUDA {torch.version.cuda}"
    return {"machine": machine, "torch": versions, "date": date.today().isoformat()}


def run_parts(names: list[str], arguments: list[str], folder: Path, result: dict[str, Any]) -> None:
    """Run parts one after the other, within the time of all, and add their figures to `result`."""
    start = time.monotonic()
    for name in names:
        began = time.monotonic()
        limit = min(PARTS[name].limit, MAX_SECONDS - (began - start))
        end = run_part(name, arguments, folder / name, limit)
        seconds = time.monotonic() - began
        figures = read_figures(folder / name)
        result["parts"][name] = {"end": end, "seconds": round(seconds, 1), "limit": round(limit, 1)}
        result["figures"] |= figures
        print(f"{name:34s} {end} after {seconds:.0f} s of at most {max(limit, 0):.0f}", flush=True)


def run_part(name: str, arguments: list[str], into: Path, limit: float) -> End:
    """Run a part in a process, which is killed with its own processes at the limit, in seconds."""
    if limit <= 0:
        return "left out"
    command = [sys.executable, "-m", "benchmarks.gpu", "--parts", name, "--into", str(into)]
    process = subprocess.Popen([*command, *arguments], start_new_session=True)
    try:
        return "failed" if process.wait(limit) else "complete"
    except subprocess.TimeoutExpired:
        return "limit"
    finally:
        # Compilers of torch outlive the process that started them.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measure(name: str, device: torch.device, scale: Scale, into: Path) -> None:
    """Write the figures of a part to a file, a JSON object a line, as they are measured."""
    tune_malloc()
    with into.open("w") as file:
        for figures in PARTS[name].measure(device, scale):
            file.write(json.dumps(figures) + "\n")
            file.flush()


def read_figures(path: Path) -> Figures:
    """Return the figures that a part wrote; of repeated ones the last. A cut line is left out."""
    figures: Figures = {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            figures |= json.loads(line)
    return figures


def shares(figures: Figures, has_bf16: bool) -> Figures:
    """Return the shares of the peak of the training's arithmetic, and the gains of compilation."""
    result: Figures = {}
    arithmetic = "bfloat16" if has_bf16 else "float32"
    limit = figures.get(f"peak_{arithmetic}_gflops")
    for name, value in figures.items():
        if limit and name.endswith("_train_gflops"):
            case = name.removesuffix("_train_gflops")
            result[f"{case}_train_over_peak_{arithmetic}"] = value / limit
        plain = figures.get(name.replace("_compiled", ""))
        if "_compiled" in name and name.endswith("_train_step_ms") and plain:
            result[name.replace("_train_step_ms", "_over_plain")] = value / plain
    return result


def measure_peak(device: torch.device, scale: Scale) -> Iterator[Figures]:
    """Yield the rates of matrix products."""
    yield peak(device, scale.sides)


def measure_mnist(device: torch.device, scale: Scale, *, compile: bool) -> Iterator[Figures]:
    """Yield the speed of the default recipe."""
    yield _compare("mnist", open_source("mnist"), Settings(compile=compile), device, scale)


def measure_color(device: torch.device, scale: Scale, *, compile: bool) -> Iterator[Figures]:
    """Yield the speed of the preset colour-64 at several sizes of the batch."""
    samples = pictures(scale.n_pictures)
    settings = Settings(**PRESETS["colour-64"].settings)
    for size in scale.batches:
        sized = replace(settings, batch_size=size, compile=compile)
        yield _compare(f"color_{size}", samples, sized, device, scale)


def _compare(
    name: str, samples: Dataset, settings: Settings, device: torch.device, scale: Scale
) -> Figures:
    # PCA takes seconds, and the initial codes do not change the speed.
    settings = replace(settings, device=str(device), init="gaussian", epochs=10_000)
    training = init_train_state(samples, settings, UNUSED)
    figures = compare_with_bare(training, samples, blocks=scale.blocks, size=scale.steps)
    case = f"{name}_compiled" if settings.compile else name
    return {f"{case}_{figure}": value for figure, value in figures.items()}


def pictures(n: int, side: int = 64) -> Dataset:
    """Draw color pictures of four soft spots each, (n, side, side, 3)."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, side, dtype=np.float32)
    canvas = np.zeros((n, side, side, 3), np.float32)
    for _ in range(4):
        x, y = rng.uniform(0, 1, (2, n, 1))
        width = rng.uniform(0.05, 0.3, (n, 1))
        across, down = (np.exp(-(((grid - at) / width) ** 2)) for at in (x, y))
        color = rng.uniform(0, 255, (n, 1, 1, 3)).astype(np.float32)
        canvas += (down[:, :, None] * across[:, None, :])[..., None] * color
    return Dataset(rows=canvas.clip(0, 255).astype(np.uint8), name="spots")


def measure_rows(device: torch.device, scale: Scale) -> Iterator[Figures]:
    """Yield the seconds of a step, and the memory of the device, at two numbers of rows."""
    few, many = scale.n_rows
    first: float | None = None
    with tempfile.TemporaryDirectory() as folder:
        for n, path in ((few, None), (many, None), (many, Path(folder) / "rows.bin")):
            case = f"rows_{n}" if path is None else f"rows_{n}_in_file"
            figures = _large_steps(large(n, path), device, scale)
            first = first or figures["step_ms"]
            figures["step_over_first"] = figures["step_ms"] / first
            yield {f"{case}_{figure}": value for figure, value in figures.items()}


def _large_steps(samples: Dataset, device: torch.device, scale: Scale) -> Figures:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    training = begin_large(samples, str(device))
    steps = steps_of(training, samples)
    run_block(steps, scale.steps)
    ready = time.perf_counter() - began
    work = partial(run_block, steps, scale.steps)
    times = [timed(work, device) / scale.steps for _ in range(scale.blocks)]
    figures = {
        "seconds_to_begin": ready,
        "step_ms": 1e3 * statistics.median(times),
        "codes_on_device": float(training.codes.device.type == device.type),
    }
    if device.type == "cuda":
        figures["device_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
    return figures


def measure_recipe(device: torch.device, scale: Scale) -> Iterator[Figures]:
    """Yield time and error of the default recipe on MNIST after every epoch."""
    settings = replace(scale.recipe, device=str(device))
    samples = open_source("mnist")
    if scale.limit:
        samples = samples.subset(np.arange(scale.limit))
    began = time.perf_counter()
    training = init_train_state(samples, settings, fit_pca(samples, settings.code_dim))
    begun = time.perf_counter()
    for record in train(training, samples):
        if isinstance(record, EpochRecord):
            now = time.perf_counter()
            yield {
                "recipe_seconds_to_begin": begun - began,
                "recipe_epochs": record.epoch,
                "recipe_epochs_of": settings.epochs_for(len(samples)),
                "recipe_seconds": now - begun,
                "recipe_images_per_second": record.epoch * len(samples) / (now - begun),
                "recipe_mse": record.mse,
            }


PARTS = {
    "peak": Part(measure=measure_peak, limit=30),
    "mnist": Part(measure=partial(measure_mnist, compile=False), limit=45),
    "mnist-compiled": Part(measure=partial(measure_mnist, compile=True), limit=80),
    "color": Part(measure=partial(measure_color, compile=False), limit=60),
    "color-compiled": Part(measure=partial(measure_color, compile=True), limit=100),
    "rows": Part(measure=measure_rows, limit=90),
    "recipe": Part(measure=measure_recipe, limit=60),
}


if __name__ == "__main__":
    main()
