"""Images of docs/walk.md, from a run of MNIST.

    python benchmarks/walk_pictures.py runs/mnist --out docs/images

Training examples 4, 7, 0, 1 and 12 of MNIST are a nine, a three, a five, a nought and a three.
"""

import argparse
from pathlib import Path

from glo.cli.app import run

PICTURES = {
    "line": ["4", "7", "0", "1"],
    "grid": ["4", "7", "0", "1", "--grid", "--steps", "8"],
    "principal": ["12", "--principal", "5"],
    "neighbours": ["sample:5", "--neighbors", "11"],
}


def main() -> None:
    """Write every image."""
    about = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    about.add_argument("run", type=Path)
    about.add_argument("--out", type=Path, default=Path("docs/images"))
    chosen = about.parse_args()
    for name, words in PICTURES.items():
        path = chosen.out / f"walk-{name}.png"
        if run(["walk", str(chosen.run), *words, "--out", str(path)]):
            raise SystemExit(f"{path} was not made")


if __name__ == "__main__":
    main()
