"""Inversion of unseen digits: error distribution and cost.

    python benchmarks/inversion.py runs/mnist            # all 10,000 test digits
    python benchmarks/inversion.py runs/mnist --n 1000 --out results/inversion

The cost is compared with the bare one: as many decodings, forward and backward, as the search made,
in full batches, timed in the same process right after it. Decoding the starts comes on top, once
for all searches, and is told apart.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor

from glo.data import Dataset, SourceOptions, open_source
from glo.decoders import Decoder
from glo.imaging.grids import pairs, save_picture
from glo.inversion import Inversion, InversionOptions, decode_initial_codes, invert
from glo.losses import MSELoss
from glo.runs.run import Run, open_run
from glo.training.evaluation import evaluate
from glo.utils.device import autocast
from glo.utils.malloc import tune_malloc

BATCH = 512
BARE_BATCHES = 12
SHOWN = 32
TIMES_MEDIAN = 10


def main() -> None:
    """Invert unseen digits and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--starts", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--out", type=Path, help="folder for pictures and figures")
    choice = parser.parse_args()
    tune_malloc()

    run = open_run(choice.run)
    kept = {name: getattr(run.settings, name) for name in ("size", "channels", "crop")}
    unseen = open_source(run.data.source, SourceOptions(**kept, split="test", limit=choice.n))
    images = unseen.batch(torch.arange(len(unseen)))

    began = time.perf_counter()
    starts = decode_initial_codes(run.decoder, run.codes, max_codes=choice.starts)
    ready = time.perf_counter()
    found = invert(
        run.decoder,
        images,
        starts,
        options=InversionOptions(
            max_steps=choice.steps,
            tolerance=choice.tolerance,
            constraint=run.settings.constraint,
        ),
    )
    seconds = time.perf_counter() - ready
    rate = bare_rate(run.decoder, found.codes, images)
    decodings = int(found.steps.sum())
    figures = {
        "examples": len(images),
        "starts": len(starts),
        "seconds_for_starts": ready - began,
        "seconds": seconds,
        "images_per_second": len(images) / seconds,
        "decodings_per_image": decodings / len(images),
        "most_decodings": int(found.steps.max()),
        "bare_decodings_per_second": rate,
        "ratio_to_bare": seconds * rate / decodings,
        **spread(run, found, unseen),
    }
    for name, value in figures.items():
        print(f"{name:28s} {value:12.5g}")
    if choice.out:
        choice.out.mkdir(parents=True, exist_ok=True)
        draw(found, images, choice.out)
        (choice.out / "inversion.json").write_text(json.dumps(figures, indent=2) + "\n")


def spread(run: Run, found: Inversion, unseen: Dataset) -> dict[str, float]:
    """Return the mean error and its quantiles over the examples."""
    residual = found.residuals
    parts = torch.tensor([0.5, 0.9, 0.99])
    median, tenth, hundredth = torch.quantile(residual, parts).tolist()
    return {
        "mse": float(residual.double().mean()),
        "mse_decoded_anew": evaluate(run.decoder, found.codes, unseen, run.settings),
        "median": median,
        "worst_tenth_from": tenth,
        "worst_hundredth_from": hundredth,
        "worst": float(residual.max()),
        "above_ten_times_median": int((residual > TIMES_MEDIAN * median).sum()),
        "not_converged": int((~found.converged).sum()),
    }


def bare_rate(decoder: Decoder, codes: Tensor, images: Tensor) -> float:
    """Return examples a second of the decoder, forward and backward to the codes alone."""
    decoder.eval().requires_grad_(False)
    loss, device = MSELoss(), next(decoder.parameters()).device
    width = min(BATCH, len(images))
    target, times = images[:width].to(device), []
    for _ in range(BARE_BATCHES):
        own = codes[:width].to(device).clone().requires_grad_()
        began = time.perf_counter()
        with autocast(device, "auto"):
            output = decoder(own)
        loss(output, target).sum().backward()
        times.append(time.perf_counter() - began)
    # The first batch pays for memory.
    return width * len(times[1:]) / sum(times[1:])


def draw(found: Inversion, images: Tensor, out: Path) -> None:
    """Save the first examples and the worst ones, each above its reconstruction."""
    worst = found.residuals.argsort(descending=True)[:SHOWN]
    first = torch.arange(min(SHOWN, len(images)))
    for name, rows in (("first", first), ("worst", worst)):
        save_picture(pairs(images[rows], found.reconstructions[rows]), out / f"{name}.png")


if __name__ == "__main__":
    main()
