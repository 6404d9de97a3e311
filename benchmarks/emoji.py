"""Generate a folder of color images: the emoji of Debian's package fonts-noto-color-emoji.

    apt-get install fonts-noto-color-emoji
    python benchmarks/emoji.py --out data/emoji

They are rendered drawings, not photographs: Google's Noto Color Emoji (SIL Open Font License 1.1),
136 x 128 bitmaps in the font, drawn by Pillow at their own size on white and padded to squares of
136. Only single code points are drawn, so there are no variants of one picture by skin tone or
sex. Letters that only make flags together, skin colours and hair alone are left out.

What would still pass for a copy is left out too: a picture whose mean squared difference from one
that came before it, at 32 x 32 with pixels in [-1, 1], is below `--apart`. Of 24 clock
faces two stay. Cousins stay too: hearts in other colours, faces with another mouth.

Pictures go to `train` and `heldout` by a fixed draw. Those of `train` whose Unicode name has FACE
in it, yellow ones for the most part, go to `faces` as well.
"""

import argparse
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SIZE = 109  # the one size that the font has bitmaps of
WIDTH, HEIGHT = 136, 128
# Regional indicators, skin colours, parts of hair and tags; what the private area holds is flags.
PARTS = [range(0x1F1E6, 0x1F200), range(0x1F3FB, 0x1F400), range(0x1F9B0, 0x1F9B4)]


def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--font", type=Path, default=FONT)
    parser.add_argument("--apart", type=float, default=0.03, help="least difference of two")
    parser.add_argument("--heldout", type=int, default=150, help="pictures that are kept aside")
    choice = parser.parse_args()
    drawn = list(draw_all(choice.font))
    kept = apart(drawn, choice.apart)
    order = np.random.default_rng(0).permutation(len(kept))
    names = {"heldout": order[: choice.heldout], "train": order[choice.heldout :]}
    names["faces"] = [n for n in names["train"] if "FACE" in name(kept[n][0])]
    for part, numbers in names.items():
        folder = choice.out / part
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            code, picture = kept[number]
            picture.save(folder / f"{code:05x}.png")
    counts = ", ".join(f"{len(numbers)} in {part}" for part, numbers in names.items())
    print(f"{len(drawn)} emoji drawn, {len(drawn) - len(kept)} too alike; {counts}.")


def draw_all(path: Path) -> Iterator[tuple[int, Image.Image]]:
    """Yield every code point of the font, and its image."""
    # Without the text shaper, which refuses some code points when they stand alone.
    font = ImageFont.truetype(path, SIZE, layout_engine=ImageFont.Layout.BASIC)
    for code in sorted(TTFont(path).getBestCmap()):
        if any(code in part for part in PARTS):
            continue
        picture = Image.new("RGB", (WIDTH, WIDTH), "white")
        place = (0, (WIDTH - HEIGHT) // 2)
        ImageDraw.Draw(picture).text(place, chr(code), font=font, embedded_color=True)
        if np.asarray(picture).min() < 255:
            yield code, picture


def apart(drawn: list[tuple[int, Image.Image]], least: float) -> list[tuple[int, Image.Image]]:
    """Return the images that differ from all previously selected ones."""
    small = [picture.resize((32, 32), Image.Resampling.BOX) for _, picture in drawn]
    pixels = np.stack([np.asarray(each, np.float32) for each in small]) / 127.5 - 1
    kept: list[int] = []
    for number, own in enumerate(pixels):
        differences = np.square(pixels[kept] - own).mean((1, 2, 3))
        if not (differences < least).any():
            kept.append(number)
    return [drawn[number] for number in kept]


def name(code: int) -> str:
    """Return the Unicode name of a code point, empty if it has none."""
    return unicodedata.name(chr(code), "")


if __name__ == "__main__":
    main()
