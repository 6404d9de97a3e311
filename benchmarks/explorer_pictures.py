"""Screenshots of the page of `glo explore`, for the documentation.

    python benchmarks/explorer_pictures.py runs/mnist --out docs/images

Light and dark, 1280 pixels wide and 390, as a person sees them who has played a little:
explore-map, -select, -directions, -sample, -between, -drop, -paint, -worst, each with -light or
-dark, and -phone. They look the same wherever the fonts Inter and P052 are (Debian: fonts-inter,
fonts-urw-base35).
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from browsing import choose_method, chromium, open_page, served, wait_for_neighbors
from PIL import Image

from explorer import unseen

SIZES = {"": (1280, 860), "-phone": (390, 844)}


def main() -> None:
    """Take all screenshots."""
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("run", type=Path)
    about.add_argument("--out", type=Path, default=Path("docs/images"))
    about.add_argument("--panels", nargs="*", choices=sorted(PANELS), default=list(PANELS))
    choice = about.parse_args()
    name, content = unseen(choice.run, 1)[0]
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    with served(choice.run) as address, chromium() as browser:
        for scheme in ("light", "dark"):
            for suffix, (width, height) in SIZES.items():
                # A device pixel is a pixel of the picture: two would make the files too large.
                how = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
                page = open_page(browser, address, has_touch=bool(suffix), **how)
                for panel in choice.panels:
                    PANELS[panel](page, file)
                    keep(page, choice.out / f"explore-{panel}-{scheme}{suffix}.png")
                page.context.close()


def show_map(page: Any, file: dict[str, Any]) -> None:
    """Drag, and hover over another example."""
    choose_method(page, "tsne")
    box = page.locator("#map").bounding_box()
    side = min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 0.17 * side, y - 0.08 * side, steps=6)
    page.mouse.up()
    page.wait_for_timeout(600)
    wait_for_neighbors(page)
    page.mouse.move(x - 0.13 * side, y + 0.36 * side)
    page.wait_for_selector("#tip", state="visible")
    # It is that of the machine which draws, and of whatever else that one does.
    page.evaluate("document.querySelector('#rate').textContent = ''")


def show_select(page: Any, file: dict[str, Any]) -> None:
    """Draw a lasso on the map, and show the table."""
    page.click("#tab-map")
    choose_method(page, "tsne")
    page.check("#map-tools [value=lasso]", force=True)
    box = page.locator("#map").bounding_box()
    side = min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for k in range(41):
        angle = k * 2 * math.pi / 40
        page.mouse.move(x + 0.2 * side * math.cos(angle), y + 0.15 * side * math.sin(angle))
        if k == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#selected-rows tr")
    page.check("#map-tools [value=decode]", force=True)
    page.evaluate("document.querySelector('#selected').scrollIntoView({block: 'end'})")
    page.wait_for_timeout(1500)


def show_worst(page: Any, file: dict[str, Any]) -> None:
    """Wait for the heat maps."""
    page.keyboard.press("Escape")
    page.click("#tab-worst")
    page.wait_for_function("() => document.querySelector('.worst .error')?.width > 0")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(1500)
    wait_for_neighbors(page)


def show_directions(page: Any, file: dict[str, Any]) -> None:
    """Wait for the strips."""
    page.click("#tab-directions")
    page.wait_for_function("() => document.querySelector('.stops canvas').width !== 300")
    page.wait_for_timeout(800)
    wait_for_neighbors(page)


def show_samples(page: Any, file: dict[str, Any]) -> None:
    """Draw from the run's prior."""
    page.click("#tab-sample")
    page.wait_for_selector("#samples[aria-busy=false] canvas")
    page.click("#samples li:nth-child(11) button")
    page.wait_for_timeout(600)
    wait_for_neighbors(page)


def show_between(page: Any, file: dict[str, Any]) -> None:
    """Show the middle between two examples."""
    page.click("#tab-between")
    page.wait_for_selector("#between-strip li")
    page.focus("#between-at")
    page.keyboard.press("ArrowRight")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(600)
    wait_for_neighbors(page)


def show_drop(page: Any, file: dict[str, Any]) -> None:
    """Drop an image of the test split, and wait for its code."""
    page.click("#tab-drop")
    page.set_input_files("#file", file)
    page.wait_for_selector("#drop-result[data-state=done]")
    page.wait_for_selector("#drop-neighbours[aria-busy=false] canvas")
    page.wait_for_timeout(600)
    wait_for_neighbors(page)


def show_paint(page: Any, file: dict[str, Any]) -> None:
    """Hide half of that image, and inpaint it."""
    page.click("#tab-paint")
    page.click("#paint-dropped" if page.is_enabled("#paint-dropped") else "#paint-hand")
    page.click("#paint-shapes [data-shape=left]")
    page.click("#paint-go")
    page.wait_for_selector("#restored li")
    page.wait_for_selector("#paint-progress", state="hidden")
    page.evaluate("scrollTo(0, 0)")


PANELS: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "map": show_map,
    "select": show_select,
    "directions": show_directions,
    "sample": show_samples,
    "between": show_between,
    "drop": show_drop,
    "paint": show_paint,
    "worst": show_worst,
}


def keep(page: Any, path: Path) -> None:
    """Save a screenshot in 256 colors, less than half as large with the same appearance."""
    page.screenshot(path=path)
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
