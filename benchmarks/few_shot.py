"""Evaluation of a run of few images: lost examples, copies, interpolations.

    glo train data/emoji/faces --preset few-shot --out runs/faces
    python benchmarks/few_shot.py runs/faces --data data/emoji/faces --out results/faces

Writes figures.json and a sheet: pictures, their reconstructions, the worst of them with their
originals above, samples of the run's prior with the nearest training picture below each, the same
samples at a lower temperature, and ways between neighbours and between strangers.

A picture is kept, and no mode dropped, if its reconstruction is nearer to it than to any other
training picture. A sample is a copy as far as it is nearer to a training picture than pictures of
the set are to each other; both distances are root mean squares of pixels in [-1, 1].
"""

import argparse
from pathlib import Path

import torch
from benchmarks.colour.problem import every
from benchmarks.colour.sheets import save, sheet
from benchmarks.colour.study import psnr
from benchmarks.rows import write_json
from PIL import Image
from torch import Tensor

from glo.data import SourceOptions, open_source, to_uint8
from glo.decoders.decode import decode
from glo.latents.interpolation import interpolate
from glo.runs.run import Run, open_run

COLUMNS = 14
CALM = 0.7


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    choice = parser.parse_args()
    torch.set_num_threads(1)
    run = open_run(choice.run)
    size, channels = run.settings.size, run.settings.channels
    real = every(open_source(choice.data, SourceOptions(size=size, channels=channels)))
    made = decode(run.decoder, run.codes, run.settings.precision)
    samples = [run.sample(COLUMNS, seed=0, temperature=each) for each in (1.0, CALM)]
    choice.out.mkdir(parents=True, exist_ok=True)
    figures = measure(real, made, run.sample(len(real), seed=1))
    write_json(choice.out / "figures.json", figures)
    save(draw(run, real, made, samples), choice.out / "sheet.jpg")
    print(figures)


def measure(real: Tensor, made: Tensor, samples: Tensor) -> dict[str, float]:
    """Return the figures; all images (n, C, S, S)."""
    errors, apart = psnr(made, real), distances(real, real)
    kept = distances(made, real).argmin(1) == torch.arange(len(real))
    return {
        "pictures": len(real),
        "kept": int(kept.sum()),
        "mean_psnr": float(errors.mean()),
        "worst_psnr": float(errors.min()),
        "between_pictures": float(apart.fill_diagonal_(torch.inf).amin(1).median()),
        "sample_to_picture": float(distances(samples, real).amin(1).median()),
    }


def distances(some: Tensor, others: Tensor) -> Tensor:
    """Return root mean squared differences, (n, m)."""
    each = torch.cdist(some.flatten(1), others.flatten(1))
    return each / some[0].numel() ** 0.5


def draw(run: Run, real: Tensor, made: Tensor, samples: list[Tensor]) -> Image.Image:
    """Return the sheet."""
    rows = torch.linspace(0, len(real) - 1, COLUMNS).long()
    worst = psnr(made, real).argsort()[:COLUMNS]
    nearest = distances(samples[0], real).argmin(1)
    lines = {
        "pictures": real[rows],
        "rebuilt": made[rows],
        "the worst": real[worst],
        "rebuilt ": made[worst],
        "samples": samples[0],
        "nearest picture": real[nearest],
        f"temperature {CALM}": samples[1],
    }
    for number, (start, end) in enumerate(ends(run.codes), 1):
        way = interpolate(run.codes[start], run.codes[end], COLUMNS, path="sphere")
        lines[f"way {number}"] = decode(run.decoder, way, run.settings.precision)
    return sheet({name: to_uint8(tiles) for name, tiles in lines.items()}, columns=COLUMNS)


def ends(codes: Tensor) -> list[tuple[int, int]]:
    """Return two pairs of neighboring codes, and two distant pairs."""
    apart = torch.cdist(codes, codes)
    near = apart.clone().fill_diagonal_(torch.inf).argmin(1)
    starts = [0, len(codes) // 2]
    pairs = [(start, int(near[start])) for start in starts]
    return pairs + [(start, int(apart[start].argmax())) for start in starts]


if __name__ == "__main__":
    main()
