"""Generate a set of color images: faces combined from the parts of DiceBear's "adventurer".

    npm install --prefix data/npm @dicebear/core@9.4.3 @dicebear/adventurer@9.4.3 \\
        @resvg/resvg-js@2.6.2
    python benchmarks/avatars.py --npm data/npm --out data/avatars

They are rendered drawings, not photographs: flat colors and black lines, designed by Lisa
Wischofsky (CC BY 4.0), on white. Node.js draws every face at four times its size, and it is
reduced by averaging.

Each part and color of a face is drawn uniformly and independently of the others. Glasses, earrings
and marks (freckles, blush, a birthmark, a mustache) are absent in most faces. No two faces agree in
all of hair, hair color, skin color, eyes, eyebrows and mouth, whatever else they have. So the
combination of a held-out face is not in the training set.

The result is `train.npz` and `heldout.npz`: images `x`, uint8 (N, S, S, 3), and an array of N names
for each part, to be selected as labels:

    glo train "data/avatars/train.npz?label=glasses"

The held-out faces are the first ones drawn, so training sets of several sizes share them, and the
smaller one is the start of the larger one.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PROGRAM = Path(__file__).with_suffix(".mjs")
OVERSAMPLING = 4
ABSENT = "none"

HAIR_COLORS = {
    "black": "0e0e0e",
    "chestnut": "562306",
    "brown": "6a4e35",
    "ash": "796a45",
    "caramel": "ac6511",
    "ginger": "cb6820",
    "red": "ab2a18",
    "blond": "b9a05f",
    "platinum": "e5d7a3",
    "gray": "afafaf",
    "green": "3eac2c",
    "blue": "85c2c6",
    "pink": "dba3be",
    "purple": "592454",
}
SKIN_COLORS = {"pale": "f2d3b1", "tan": "ecad80", "brown": "9e5622", "dark": "763900"}


def _variants(count: int, prefix: str = "variant") -> tuple[str, ...]:
    return tuple(f"{prefix}{number:02}" for number in range(1, count + 1))


# Parts of every face.
REQUIRED: dict[str, Sequence[str]] = {
    "hair": _variants(26, "long") + _variants(19, "short"),
    "hair_color": tuple(HAIR_COLORS),
    "skin_color": tuple(SKIN_COLORS),
    "eyes": _variants(26),
    "eyebrows": _variants(15),
    "mouth": _variants(30),
}
# Parts of some faces, and their share.
OPTIONAL: dict[str, tuple[Sequence[str], float]] = {
    "glasses": (_variants(5), 0.3),
    "earrings": (_variants(6), 0.2),
    "marks": (("birthmark", "blush", "freckles", "mustache"), 0.2),
}

# DiceBear's names, where they differ.
OPTIONS = {"hair_color": "hairColor", "skin_color": "skinColor", "marks": "features"}

LICENSE = """\
The faces in this folder are combined from parts of "Adventurer" by Lisa Wischofsky
(https://www.instagram.com/lischi_art/),
https://www.figma.com/community/file/1184595184137881796, licensed under CC BY 4.0,
https://creativecommons.org/licenses/by/4.0/.

Changes: DiceBear (https://www.dicebear.com/styles/adventurer/) exported the parts; this set
combines them at random, and draws them on white at {size} x {size} pixels.
"""

Face = dict[str, str]


def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--npm", type=Path, required=True, help="folder with node_modules")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--train", type=int, default=20000)
    parser.add_argument("--heldout", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    choice = parser.parse_args()
    choice.out.mkdir(parents=True, exist_ok=True)
    for part, faces in split(choice.train, choice.heldout, choice.seed).items():
        images = render(faces, choice.size, choice.npm)
        labels = {name: [face[name] for face in faces] for name in (*REQUIRED, *OPTIONAL)}
        np.savez_compressed(choice.out / f"{part}.npz", x=images, **labels)
        sheet(images).save(choice.out / f"{part}.png")
    (choice.out / "LICENSE.txt").write_text(LICENSE.format(size=choice.size))
    print(f"{choice.train} faces in train.npz, {choice.heldout} in heldout.npz.")


def split(train: int, heldout: int, seed: int) -> dict[str, list[Face]]:
    """Return the parts of held-out and of training faces, all of them distinct."""
    faces = distinct(draw_faces(np.random.default_rng(seed)))
    return {"heldout": list(islice(faces, heldout)), "train": list(islice(faces, train))}


def draw_faces(rng: np.random.Generator) -> Iterator[Face]:
    """Yield faces without end: the name of each part, "none" where it is absent."""
    while True:
        face = {name: str(rng.choice(names)) for name, names in REQUIRED.items()}
        for name, (names, share) in OPTIONAL.items():
            face[name] = str(rng.choice(names)) if rng.random() < share else ABSENT
        yield face


def distinct(faces: Iterable[Face]) -> Iterator[Face]:
    """Yield the faces that differ in a required part from every one before.

    Optional parts do not count, because hair may hide them.
    """
    seen: set[tuple[str, ...]] = set()
    for face in faces:
        key = tuple(face[name] for name in REQUIRED)
        if key not in seen:
            seen.add(key)
            yield face


def render(faces: Sequence[Face], size: int, npm: Path) -> NDArray[np.uint8]:
    """Return the images, uint8 (N, size, size, 3)."""
    images = np.empty((len(faces), size, size, 3), np.uint8)
    side = OVERSAMPLING * size
    # Imports of a program on the command line are resolved from the working directory.
    program = ["node", "--input-type=module", "--eval", PROGRAM.read_text(), str(side)]
    with tempfile.TemporaryFile("w+") as lines:
        lines.writelines(json.dumps(options(face)) + "\n" for face in faces)
        lines.seek(0)
        with subprocess.Popen(program, cwd=npm, stdin=lines, stdout=subprocess.PIPE) as node:
            for image in images:
                drawn = Image.frombytes("RGBA", (side, side), node.stdout.read(side * side * 4))
                image[:] = drawn.convert("RGB").reduce(OVERSAMPLING)
    return images


def options(face: Face) -> dict[str, object]:
    """Return the options of DiceBear for a face."""
    codes = {"hair_color": HAIR_COLORS, "skin_color": SKIN_COLORS}
    chosen: dict[str, object] = {}
    for name, value in face.items():
        option = OPTIONS.get(name, name)
        if value != ABSENT:
            chosen[option] = [codes[name][value] if name in codes else value]
        if name in OPTIONAL:
            chosen[f"{option}Probability"] = 0 if value == ABSENT else 100
    return chosen


def sheet(images: NDArray[np.uint8], columns: int = 16, rows: int = 8) -> Image.Image:
    """Return a grid of the first images."""
    images = images[: columns * rows]
    images = images[: len(images) // columns * columns]
    size = images.shape[1]
    lines = images.reshape(-1, columns, size, size, 3).swapaxes(1, 2)
    return Image.fromarray(lines.reshape(-1, columns * size, 3))


if __name__ == "__main__":
    main()
