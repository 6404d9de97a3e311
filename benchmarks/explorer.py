"""Speed of the page of `glo explore`, measured in a browser.

    python benchmarks/explorer.py runs/mnist
    python benchmarks/explorer.py runs/mnist --files pictures/ --seconds 30 --json figures.json

1. The pointer is dragged over the map for ten seconds, about sixty moves a second, on a curve that
   does not repeat itself. Counted are the pictures that the page draws, not the requests.
2. Files are dropped, one after the other: pictures of the data's test split, or those of a folder.
   Measured is from the drop to the first decoded code and to the final one.
"""

import argparse
import io
import json
import math
import time
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from browsing import chromium, open_page, served
from PIL import Image

from glo.data import SourceOptions, open_source, to_uint8
from glo.runs.run import open_run

MOVES_A_SECOND = 60

COUNT = """() => {
  window.shown = [];
  performance.setResourceTimingBufferSize(20000);
  performance.clearResourceTimings();
  addEventListener('drawn', () => window.shown.push(performance.now()));
}"""

DECODINGS = """() => performance.getEntriesByType('resource')
  .filter((e) => e.name.endsWith('/api/decode')).map((e) => e.responseEnd - e.startTime)"""

DROP = """([bytes, name]) => new Promise((resolve) => {
  const result = document.querySelector('#drop-result');
  result.dataset.state = '';
  const began = performance.now();
  let first = null;
  const found = document.querySelector('#drop-residual');
  new MutationObserver(() => (first ??= performance.now() - began))
    .observe(found, {childList: true});
  const watch = new MutationObserver(() => {
    if (!['done', 'failed'].includes(result.dataset.state)) return;
    watch.disconnect();
    resolve({state: result.dataset.state, first, done: performance.now() - began});
  });
  watch.observe(result, {attributes: true, attributeFilter: ['data-state']});
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name));
  document.body.dispatchEvent(
    new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: files}));
})"""


def main() -> None:
    """Measure the page of a run and print the results."""
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("run", type=Path)
    about.add_argument("--seconds", type=float, default=10.0, help="of dragging")
    about.add_argument("--files", type=Path, help="folder of pictures to drop")
    about.add_argument("--n", type=int, default=20, help="how many pictures to drop")
    about.add_argument("--json", type=Path, help="file for the figures")
    choice = about.parse_args()
    pictures = read_files(choice.files, choice.n) if choice.files else unseen(choice.run, choice.n)
    with served(choice.run) as address, chromium() as browser:
        began = time.perf_counter()
        page = open_page(browser, address, viewport={"width": 1280, "height": 860})
        figures = {"seconds_to_first_picture": time.perf_counter() - began}
        # What the server prepares in the background when it begins is no part of dragging.
        page.wait_for_timeout(3000)
        figures |= drag(page, choice.seconds)
        figures |= drop(page, pictures)
    show(figures)
    if choice.json:
        choice.json.write_text(json.dumps(figures, indent=2) + "\n")


def drag(page: Any, seconds: float) -> dict[str, Any]:
    """Drag over the map and return the frame times and decoding times."""
    box = page.locator("#map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reach = 0.4 * min(box["width"], box["height"])
    page.evaluate(COUNT)
    page.mouse.move(*middle)
    page.mouse.down()
    began, moves = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        x = middle[0] + reach * math.sin(1.9 * now)
        y = middle[1] + reach * math.sin(1.3 * now + 0.7)
        page.mouse.move(x, y)
        moves += 1
        time.sleep(max(0.0, moves / MOVES_A_SECOND - (time.perf_counter() - began)))
    page.mouse.up()
    shown, decodings = page.evaluate("window.shown"), page.evaluate(DECODINGS)
    gaps = [after - before for before, after in pairwise(shown)]
    return {
        "seconds_dragged": now,
        "moves_a_second": moves / now,
        "pictures_a_second": len(shown) / now,
        "ms_between_pictures": spread(gaps),
        "ms_of_a_decode_request": spread(decodings),
    }


def drop(page: Any, pictures: list[tuple[str, bytes]]) -> dict[str, Any]:
    """Drop each image and return the time of its inversion."""
    timed = [page.evaluate(DROP, [list(content), name]) for name, content in pictures]
    good = [each for each in timed if each["state"] == "done"]
    return {
        "dropped": len(pictures),
        "codes_found": len(good),
        "ms_from_drop_to_first_code": spread([each["first"] for each in good]),
        "ms_from_drop_to_code": spread([each["done"] for each in good]),
    }


def spread(numbers: list[float]) -> dict[str, float]:
    """Return the median and the 95th percentile."""
    if len(numbers) < 2:
        return {"p50": math.nan, "p95": math.nan}
    cuts = quantiles(numbers, n=20, method="inclusive")
    return {"p50": cuts[9], "p95": cuts[18]}


def unseen(run: Path, n: int) -> list[tuple[str, bytes]]:
    """Return PNG files of the test split of a run's data."""
    opened = open_run(run)
    kept = {name: getattr(opened.settings, name) for name in ("size", "channels", "crop")}
    test = open_source(opened.data.source, SourceOptions(**kept, split="test", limit=n))
    pixels = to_uint8(test.batch(torch.arange(len(test))))
    return [(f"test-{i}.png", png(each)) for i, each in enumerate(pixels)]


def png(pixels: Any) -> bytes:
    """Return the file of a picture, uint8 (H, W, C)."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def read_files(folder: Path, n: int) -> list[tuple[str, bytes]]:
    """Return the first n files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())[:n]
    return [(path.name, path.read_bytes()) for path in files]


def show(figures: dict[str, Any]) -> None:
    """Print the figures, one a line."""
    for name, value in figures.items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            print(f"{words:32} p50 {value['p50']:8.1f}   p95 {value['p95']:8.1f}")
        else:
            print(f"{words:32} {value:12.1f}")


if __name__ == "__main__":
    main()
