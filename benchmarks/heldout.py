"""The error of examples that were never trained, by searching for their codes.

    python benchmarks/heldout.py runs/mnist --n 500 --passes 150

The decoder is fixed. Each unseen digit starts from the code of the training digit that is nearest
to it in a thumbnail of 8 x 8, and then follows the gradient of its own loss. A training error far
below this one means that the decoder has begun to fit its own rows.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from glo.codes import CodeTable, RowAdam
from glo.data import Samples, SourceOptions, open_source
from glo.losses import SquaredError
from glo.machine import keep_freed_memory
from glo.polish import evaluate, polish
from glo.runs import open_run


def main() -> None:
    """Search and print the error before, on the way and after."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--passes", type=int, default=150)
    parser.add_argument("--lr", type=float, default=0.03)
    choice = parser.parse_args()
    keep_freed_memory()

    run = open_run(choice.run)
    kept = {name: getattr(run.settings, name) for name in ("size", "channels", "crop")}
    trained = open_source(run.data.source, SourceOptions(**kept, limit=run.settings.limit))
    unseen = open_source(run.data.source, SourceOptions(**kept, split="test", limit=choice.n))
    codes = run.codes[_nearest(unseen, trained)]
    table = CodeTable(codes, rule=RowAdam((0.5, 0.9)), constraint=run.settings.constraint)

    print(f"{len(unseen)} unseen examples, start from the nearest training codes: ", end="")
    print(f"mse {evaluate(run.decoder, table.codes, unseen, run.settings):.4f}")
    began = time.perf_counter()
    for _ in polish(
        run.decoder,
        table,
        unseen,
        SquaredError(),
        passes=choice.passes,
        lr=choice.lr,
        settings=run.settings,
    ):
        pass
    seconds = time.perf_counter() - began
    print(f"after {choice.passes} steps: mse ", end="")
    print(f"{evaluate(run.decoder, table.codes, unseen, run.settings):.4f}, ", end="")
    print(f"{len(unseen) / seconds:.1f} examples/s")
    rows = torch.from_numpy(np.linspace(0, len(trained) - 1, len(unseen)).astype(np.int64))
    own = evaluate(run.decoder, run.codes[rows], trained.subset(rows.numpy()), run.settings)
    print(f"as many training examples under their own codes: mse {own:.4f}")


def _nearest(unseen: Samples, trained: Samples) -> torch.Tensor:
    thumbnails = torch.cat([_thumbnails(trained, part) for part in _parts(len(trained))])
    wanted = torch.cat([_thumbnails(unseen, part) for part in _parts(len(unseen))])
    return torch.cat([torch.cdist(part, thumbnails).argmin(1) for part in wanted.split(256)])


def _parts(n: int) -> tuple[torch.Tensor, ...]:
    return torch.arange(n).split(4096)


def _thumbnails(samples: Samples, rows: torch.Tensor) -> torch.Tensor:
    return adaptive_avg_pool2d(samples.batch(rows), 8).flatten(1)


if __name__ == "__main__":
    main()
