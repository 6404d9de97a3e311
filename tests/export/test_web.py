"""The page that `glo export --web` writes, in a real browser, from a plain file server."""

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from glo.cli.app import run as command
from glo.data import to_uint8
from glo.decoders.decode import decode
from glo.errors import UserError
from glo.export import export_web
from glo.runs.run import Run

WAIT = 90_000
DECODE = """async codes => {
    const { loadModel } = await import("./model.js");
    const model = await loadModel();
    return (await model.decode(Float32Array.from(codes))).map(values => Array.from(values));
}"""
SAMPLE = """async seed => {
    const { loadModel } = await import("./model.js");
    const model = await loadModel();
    return Array.from(await model.sample(500, seed, 1));
}"""


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The package onnxruntime-web as `npm pack` brings it."""
    place = os.environ.get("GLO_ONNXRUNTIME_WEB")
    if place is None:
        pytest.skip("GLO_ONNXRUNTIME_WEB does not name what npm pack onnxruntime-web made")
    return Path(place)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder as any static server does."""
    servers = []

    def start(folder: Path) -> str:
        handler = partial(Quiet, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def folder(pictures: Run, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web") / "page"
    words = ["--web", str(out), "--runtime", str(runtime), "--prior", "flow-matching"]
    assert command(["export", str(pictures.folder), *words]) == 0
    return out


@pytest.fixture
def see(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page, and see afterwards that it complained of nothing and asked nobody else."""
    seen: list[str] = []
    contexts = []

    def open_page(address: str, **how: Any) -> Any:
        context = browser.new_context(**how)
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.on(
            "console", lambda told: told.type in ("error", "warning") and seen.append(told.text)
        )
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("request", lambda asked: is_elsewhere(asked.url) and seen.append(asked.url))
        page.goto(address)
        page.wait_for_selector("body.ready")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


def is_elsewhere(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https", "ws") and urlsplit(url).hostname != "127.0.0.1"


def drawn(page: Any, selector: str) -> list[str]:
    """Return what is drawn on some canvases, as text to compare."""
    script = "canvases => canvases.map(canvas => canvas.toDataURL())"
    found: list[str] = page.eval_on_selector_all(selector, script)
    return found


def changed(page: Any, selector: str, before: str) -> None:
    script = "([s, old]) => document.querySelector(s).toDataURL() !== old"
    page.wait_for_function(script, arg=[selector, before])


def test_the_browser_computes_what_the_run_does(
    folder: Path, pictures: Run, serve: Callable[[Path], str], see: Callable[..., Any]
) -> None:
    page = see(serve(folder))
    codes = pictures.codes[:3]
    made = np.array(page.evaluate(DECODE, codes.flatten().tolist())).reshape(3, 1, 8, 8)
    np.testing.assert_allclose(made, pictures.reconstruct(torch.arange(3)), atol=1e-4)
    drawn_codes = np.array(page.evaluate(SAMPLE, 3)).reshape(500, 4)
    assert (np.linalg.norm(drawn_codes, axis=1) < 1 + 1e-5).all()
    wanted = pictures.prior("flow-matching").sample(2000).numpy()
    # Other numbers, the same distribution.
    assert abs(drawn_codes.mean(0) - wanted.mean(0)).max() < 5 * wanted.std(0).max() / 500**0.5


def test_a_person_samples_and_walks(
    folder: Path, serve: Callable[[Path], str], see: Callable[..., Any]
) -> None:
    page = see(serve(folder))
    assert "40 examples of 1 x 8 x 8" in page.inner_text("#facts")
    samples = drawn(page, "#samples canvas")
    assert len(samples) == 24
    assert len(set(samples)) > 20
    # The ends of the way are the two samples that are marked.
    way = drawn(page, "#way canvas")
    assert [way[0], way[-1]] == samples[:2]
    before = drawn(page, "#between")[0]
    page.get_by_label("Sample 6").click()
    changed(page, "#between", before)
    page.wait_for_function(
        "([a, b]) => document.querySelector('#way canvas').toDataURL() === a"
        " && [...document.querySelectorAll('#way canvas')].at(-1).toDataURL() === b",
        arg=[samples[1], samples[5]],
    )
    page.get_by_label("Place on the way").fill("1")
    page.wait_for_function(
        "end => document.querySelector('#between').toDataURL() === end", arg=samples[5]
    )
    page.get_by_role("button", name="New samples").click()
    changed(page, "#samples canvas", samples[0])
    # The address names the seed, so that a page can be shown to somebody else.
    assert page.url.endswith("#1")
    again = see(page.url)
    assert drawn(again, "#samples canvas") == drawn(page, "#samples canvas")


def test_a_picture_is_encoded_on_the_device(
    folder: Path,
    pictures: Run,
    tmp_path: Path,
    serve: Callable[[Path], str],
    see: Callable[..., Any],
) -> None:
    page = see(serve(folder))
    example = pictures.reconstruct(torch.arange(1))
    pixels = to_uint8(example)[0]
    wide = np.pad(np.repeat(pixels, 3, 2), ((0, 0), (5, 5), (0, 0)))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    before = drawn(page, "#way canvas")[0]
    page.set_input_files("#file", tmp_path / "wide.png")
    changed(page, "#way canvas", before)
    # The way begins at its decoded code, which is that of the run.
    assert drawn(page, "#way canvas")[0] == drawn(page, "#picture-decoded")[0]
    assert pictures.encoder is not None
    codes = pictures.encoder(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1)
    wanted = to_uint8(decode(pictures.decoder, codes, "float32"))[0, ..., 0].astype(int)
    script = "c => Array.from(c.getContext('2d').getImageData(0, 0, 8, 8).data)"
    bytes_ = np.array(page.eval_on_selector("#picture-decoded", script)).reshape(8, 8, 4)
    assert abs(bytes_[..., 0] - wanted).max() <= 1
    # A picture that is dropped takes the same way.
    page.evaluate("document.querySelector('#picture-told').textContent = ''")
    drop = """async bytes => {
        const file = new File([Uint8Array.from(bytes)], "wide.png", { type: "image/png" });
        const data = new DataTransfer();
        data.items.add(file);
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }"""
    page.evaluate(drop, list((tmp_path / "wide.png").read_bytes()))
    page.wait_for_function(
        "() => document.querySelector('#picture-told').textContent.includes('squared error')"
    )
    (tmp_path / "no.png").write_text("no picture")
    page.set_input_files("#file", tmp_path / "no.png")
    page.wait_for_function(
        "() => document.querySelector('#picture-told').textContent.includes('no.png')"
    )


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_fits_a_phone_in_both_themes(
    folder: Path, serve: Callable[[Path], str], see: Callable[..., Any], scheme: str, dark: bool
) -> None:
    page = see(serve(folder), viewport={"width": 360, "height": 700}, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground.removeprefix("rgb(").rstrip(")").split(","))) < 300) == dark
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_vectors_are_drawn_as_lines(
    numbers: Run,
    runtime: Path,
    tmp_path: Path,
    serve: Callable[[Path], str],
    see: Callable[..., Any],
) -> None:
    # From a folder as npm install makes it, this time.
    with tarfile.open(runtime) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    export_web(numbers, tmp_path / "page", runtime=tmp_path / "unpacked" / "package")
    page = see(serve(tmp_path / "page"))
    assert len(set(drawn(page, "#samples canvas"))) > 20


def test_a_folder_without_its_model_says_so(
    folder: Path, tmp_path: Path, serve: Callable[[Path], str], browser: Any
) -> None:
    shutil.copytree(folder, tmp_path / "page")
    (tmp_path / "page" / "about.json").unlink()
    page = browser.new_page()
    page.goto(serve(tmp_path / "page"))
    page.wait_for_selector("body.failed", timeout=WAIT)
    assert "could not be loaded (about.json: 404)" in page.inner_text("#state")
    page.close()


def test_a_runtime_that_is_none(pictures: Run, tmp_path: Path) -> None:
    for place in (tmp_path / "none", tmp_path / "no.tgz"):
        with pytest.raises(UserError, match=r"npm pack onnxruntime-web@.* and give --runtime"):
            export_web(pictures, tmp_path / "page", runtime=place)
        (tmp_path / "no.tgz").write_bytes(b"no archive")
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.add(tmp_path / "no.tgz", "package/dist/other.js")
    with pytest.raises(UserError, match="is not the npm package onnxruntime-web"):
        export_web(pictures, tmp_path / "page", runtime=tmp_path / "other.tgz")
    assert not (tmp_path / "page").exists()


def test_npm_fetches_the_runtime(
    pictures: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no npm"):
        export_web(pictures, tmp_path / "page")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho npm error no network >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(UserError, match=r"\(npm error no network\).*--runtime"):
        export_web(pictures, tmp_path / "page")
    assert not (tmp_path / "page").exists()
    names = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
    with tarfile.open(tmp_path / "made.tar", "w:gz") as archive:
        for name in names:
            (tmp_path / name).write_text(name)
            archive.add(tmp_path / name, f"package/dist/{name}")
    # Words: pack PACKAGE --silent --pack-destination FOLDER.
    npm.write_text(f'#!/bin/sh\n/bin/cp {tmp_path}/made.tar "$5/$2.tgz"\n')
    export_web(pictures, tmp_path / "page")
    assert (tmp_path / "page" / names[0]).read_text() == names[0]
