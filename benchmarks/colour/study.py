"""Comparison of GLO, PCA and an autoencoder on color images, at equal CPU seconds.

    apt-get install fonts-noto-color-emoji
    python benchmarks/emoji.py --out data/emoji
    python -m benchmarks.colour --data data/emoji --out results/colour-64 --seconds 150

Every method has the same pictures, code size and sampler (a mixture on the codes); GLO and the
autoencoder have the preset's decoder, loss and optimiser too, and the same CPU seconds of one
process with one thread. Both are made once more with a loss in features added, for which the extra
`imagenet` is needed, as it is for the distance. Each row is written when it is done; the same
command makes what is missing. Out come table.md, table.json and three sheets of pictures.

The Fréchet distance is in features of EfficientNet-Lite0 at 128, between as many pictures as are
held out and all training pictures: so the held-out pictures themselves, which are real, show the
reference at the same number. Samples come in several such groups, and their mean is printed. The
distance of one group rests on few pictures: compare rows, not with figures from elsewhere.
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.colour.methods import make_autoencoder, make_glo, make_pca
from benchmarks.colour.problem import Method, Problem, every
from benchmarks.colour.sheets import write_sheets
from benchmarks.compare.budget import one_thread
from benchmarks.rows import Rows, markdown, write_json
from torch import Tensor

from glo.data import to_uint8
from glo.features.base import embed
from glo.features.efficientnet import efficientnet_features
from glo.metrics.fid_kid import frechet_distance
from glo.utils.files import write_text

__all__ = ["main"]

_KEPT = 16
_WITH_FEATURES = "lap1+0.1*features"
_HEADS = [
    "method",
    "epochs",
    "CPU s",
    "train",
    "held out",
    "held out, searched",
    "FD of samples",
]


def main() -> None:
    """Compute missing rows, then write the table and the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train and heldout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="colour-64")
    parser.add_argument("--seconds", type=float, default=150.0, help="CPU seconds a method has")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="training pictures used; for trials")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="make these alone")
    choice = vars(parser.parse_args())
    folder, wanted = choice.pop("out"), choice.pop("rows")
    problem = Problem(**choice)
    with one_thread():
        about = {"preset": problem.preset, "seconds": problem.seconds, "seed": problem.seed}
        rows = Rows(folder, about | {"fingerprint": problem.train.fingerprint})
        found = [
            row
            for name, make in _methods(problem).items()
            if (not wanted or name in wanted) and (row := rows.make(name, make)) is not None
        ]
        _report(problem, folder, rows, found)


def _methods(problem: Problem) -> dict[str, Callable[[], Mapping[str, Any]]]:
    makers: dict[str, Callable[[], Method]] = {
        "PCA": partial(make_pca, problem),
        "GLO": partial(make_glo, problem),
        "autoencoder": partial(make_autoencoder, problem),
        "GLO, with features": partial(make_glo, problem, _WITH_FEATURES),
        "autoencoder, with features": partial(make_autoencoder, problem, _WITH_FEATURES),
    }
    rows: dict[str, Callable[[], Mapping[str, Any]]] = {
        "pictures": lambda: {"fd": _fd(problem, problem.heldout), **_tiles(problem)}
    }
    return rows | {name: partial(_row, problem, make) for name, make in makers.items()}


def _row(problem: Problem, make: Callable[[], Method]) -> dict[str, Any]:
    made, train = make(), every(problem.train)
    each = psnr(made.train, train)
    ways = {way: psnr(found, problem.heldout[: len(found)]) for way, found in made.heldout.items()}
    groups = made.samples.split(len(problem.heldout))
    distances = [_fd(problem, part) for part in groups if len(part) == len(problem.heldout)]
    best = made.heldout.get("own", made.heldout.get("search"))
    assert best is not None, "every method rebuilds what was held out in one way"
    return {
        "learning_cpu": made.cpu,
        "fitting_cpu": made.fit_cpu,
        "epochs": made.epochs,
        "weights": made.numbers,
        "facts": made.facts,
        "train_psnr": float(each.mean()),
        "worst_train_psnr": float(each.min()),
        "heldout_psnr": {way: float(values.mean()) for way, values in ways.items()},
        "fd": sum(distances) / len(distances),
        "fd_groups": distances,
        "train": to_uint8(made.train[_spread(problem)]),
        "heldout": to_uint8(best[:_KEPT]),
        "samples": to_uint8(made.samples[: 2 * _KEPT]),
    }


def psnr(made: Tensor, real: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each image in decibels, (n,)."""
    return 10 * torch.log10(4.0 / (made - real).square().flatten(1).mean(1).clamp_min(1e-8))


def _fd(problem: Problem, images: Tensor) -> float:
    features, path = efficientnet_features(128), f"{problem.train.fingerprint[:12]}"
    if path not in _KNOWN:
        _KNOWN[path] = embed(features, every(problem.train).split(64))
    return frechet_distance(embed(features, images.split(64)), _KNOWN[path])


_KNOWN: dict[str, Tensor] = {}


def _tiles(problem: Problem) -> dict[str, np.ndarray]:
    return {
        "train": to_uint8(problem.train.batch(_spread(problem))),
        "heldout": to_uint8(problem.heldout[:_KEPT]),
        "samples": to_uint8(problem.heldout[: 2 * _KEPT]),
    }


def _spread(problem: Problem) -> Tensor:
    return torch.linspace(0, len(problem.train) - 1, _KEPT).long()


def _report(problem: Problem, folder: Path, rows: Rows, found: list[dict[str, Any]]) -> None:
    study = json.loads((folder / "study.json").read_text("utf-8"))
    write_json(folder / "table.json", {"study": study, "rows": found})
    lines = [_line(row) for row in found]
    text = (
        f"{len(problem.train):,} training and {len(problem.heldout)} held-out "
        f"pictures, preset {problem.preset}, D = {problem.settings.code_dim}, "
        f"{problem.seconds:g} CPU seconds of one thread. PSNR in decibels, higher is better; FD "
        f"lower. {study['machine']}, torch {study['torch']}, {study['date']}.\n\n"
    )
    write_text(folder / "table.md", text + markdown(_HEADS, lines))
    write_sheets(folder, {row["name"]: rows.arrays(row["name"]) for row in found})
    print(folder / "table.md")


def _line(row: dict[str, Any]) -> list[str]:
    if "train_psnr" not in row:
        return ["held-out pictures themselves", "", "", "", "", "", f"{row['fd']:.1f}"]
    ways = {way: f"{value:.2f}" for way, value in row["heldout_psnr"].items()}
    return [
        row["name"],
        f"{row['epochs']:.1f}" if row["epochs"] else "",
        f"{math.ceil(row['learning_cpu'])}",
        f"{row['train_psnr']:.2f}",
        ways.get("own", ""),
        ways.get("search", ""),
        f"{row['fd']:.1f}",
    ]
