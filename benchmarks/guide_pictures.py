"""Pictures at the top of the guides and in the gallery, made by the commands that they show.

    python benchmarks/guide_pictures.py --digits runs/mnist --clothes runs/fashion \\
        --faces runs/faces --out docs/images

The runs are those of docs/gallery.md. A run that is not given leaves its pictures as they are.
Commands run in a temporary folder and write nothing into the runs.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from glo.cli.app import run

# Epochs of `epoch_pictures`, and its columns.
EPOCHS = (1, 2, 4, 10)
COLUMNS = 16


def main() -> None:
    """Write the pictures of every given run."""
    about = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in RUNS:
        about.add_argument(f"--{name}", type=Path)
    about.add_argument("--out", type=Path, default=Path("docs/images"))
    about.add_argument("--only", nargs="*", choices=sorted(PICTURES), default=list(PICTURES))
    chosen = vars(about.parse_args())
    runs = {name: chosen[name].resolve() for name in RUNS if chosen[name]}
    out = chosen["out"].resolve()
    for name in chosen["only"]:
        needed, make = PICTURES[name]
        if runs.keys() >= set(needed):
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                save(make(*(runs[key] for key in needed)), out / f"guide-{name}.png")


def glo(*words: str | Path) -> None:
    """Run one command."""
    if run([str(word) for word in words]):
        raise SystemExit(f"glo {words[0]} failed")


def samples(folder: Path) -> Image.Image:
    """Draw 48 samples."""
    glo("sample", folder, "--n", "48", "--seed", "1", "--out", "samples.png")
    return Image.open("samples.png")


def encoded(digits: Path) -> Image.Image:
    """Encode 16 unseen digits: each above its reconstruction."""
    words = ("mnist", "--split", "test", "--limit", "16")
    glo("encode", digits, *words, "--out", "codes.npz")
    return Image.open("codes-first.png")


def one_pass(digits: Path) -> Image.Image:
    """Encode the same digits by one pass of the encoder."""
    words = ("mnist", "--split", "test", "--limit", "16")
    glo("encode", digits, *words, "--search", "encoder", "--out", "codes.npz")
    return Image.open("codes-first.png")


def anomalies(digits: Path, clothes: Path) -> Image.Image:
    """Encode new digits and new clothes in the run of digits."""
    glo("sample", digits, "--n", "12", "--seed", "1", "--separate", "--out", "digits")
    glo("sample", clothes, "--n", "4", "--seed", "1", "--separate", "--out", "clothes")
    glo("encode", digits, "digits", "clothes", "--out", "scans.csv")
    return Image.open("scans-errors.png")


def enlarged(digits: Path) -> Image.Image:
    """Reduce unseen digits to 8 x 8 pixels, and enlarge them."""
    words = ("mnist", "--split", "test", "--limit", "6", "--simulate", "--n-solutions", "4")
    glo("restore", digits, *words, "--task", "superres", "--factor", "4", "--out", "restored")
    return Image.open("restored/grid.png")


def stored(name: str) -> Callable[[Path], Image.Image]:
    """Return a function that opens a picture written by `glo train`."""
    return lambda folder: Image.open(folder / "samples" / f"{name}.png")


def epoch_pictures(folder: Path) -> Image.Image:
    """Stack one row of examples and its reconstructions after some epochs."""
    pictures = [
        Image.open(folder / "samples" / f"epoch-{epoch:04d}.png").convert("RGB") for epoch in EPOCHS
    ]
    step = pictures[0].height // 8
    rows = [pictures[0].crop((0, 0, pictures[0].width, step))]
    rows += [picture.crop((0, step, picture.width, 2 * step)) for picture in pictures]
    page = Image.new("RGB", (rows[0].width, step * len(rows)))
    for place, row in enumerate(rows):
        page.paste(row, (0, place * step))
    return page


def save(picture: Image.Image, path: Path) -> None:
    """Write a palette PNG."""
    picture.convert("RGB").quantize(128).save(path, optimize=True)
    print(path, picture.size, path.stat().st_size)


RUNS = ("digits", "clothes", "faces")
PICTURES: dict[str, tuple[tuple[str, ...], Callable[..., Image.Image]]] = {
    "digits": (("digits",), samples),
    "clothes": (("clothes",), samples),
    "faces": (("faces",), samples),
    "epochs": (("digits",), epoch_pictures),
    "own-data": (("faces",), stored("reconstructions")),
    "encode": (("digits",), encoded),
    "encoder": (("digits",), one_pass),
    "anomalies": (("digits", "clothes"), anomalies),
    "inversion": (("digits",), enlarged),
}

if __name__ == "__main__":
    main()
