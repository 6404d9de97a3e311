"""Static web page that samples a run in the browser."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from glo.errors import UserError
from glo.export.onnx import Graphs, export_onnx
from glo.imaging.grids import shows_pixels
from glo.runs.run import Run
from glo.utils.files import atomic_write, write_text

__all__ = ["RUNTIME_VERSION", "export_web"]

RUNTIME_VERSION = "1.30.0"
"""Tested version of onnxruntime-web."""

# The smallest build: the script, and the WebAssembly module for the CPU.
_RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_PAGE_FILES = ("index.html", "style.css", "main.js", "model.js", "draw.js", "picture.js")
_PACKAGE = f"onnxruntime-web@{RUNTIME_VERSION}"
_DEFAULT_RUNTIME = Path("node_modules") / "onnxruntime-web"
_NOTICE = f"""{_RUNTIME_FILES[0]} and {_RUNTIME_FILES[1]} are parts of the npm package \
onnxruntime-web.
Copyright (c) Microsoft Corporation. Licensed under the MIT License:
https://github.com/microsoft/onnxruntime/blob/main/LICENSE
"""


def export_web(
    run: Run, folder: Path, *, runtime: Path | None = None, prior: str | None = None
) -> Graphs:
    """Write a static page that samples, interpolates and encodes on the visitor's device.

    The folder is complete: the graphs of `export_onnx`, the page, and two files of
    onnxruntime-web, which are too large (14 MB) for this package.

    Args:
        run: finished.
        folder: path of the output folder; existing files of these names are replaced.
        runtime: path of the npm package onnxruntime-web, a folder or the .tgz of `npm pack`;
            None: node_modules/onnxruntime-web, or the package fetched by npm.
        prior: name of the prior; None: the default prior of the run.

    Raises:
        UserError: `runtime` is not that package, or it is None and npm cannot fetch it.
    """
    with _find_runtime(runtime) as source:
        graphs = export_onnx(run, folder, prior=prior)
        contents = {name: (source / name).read_bytes() for name in _RUNTIME_FILES}
    page = files("glo.export").joinpath("static")
    contents |= {name: page.joinpath(name).read_bytes() for name in _PAGE_FILES}
    contents["tokens.css"] = files("glo.imaging").joinpath("tokens.css").read_bytes()
    if run.is_images and shows_pixels(*run.data.shape[1:]):
        contents["index.html"] = contents["index.html"].replace(b"<html", b'<html class="pixels"')
    for name, content in contents.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes(content)
    write_text(folder / "NOTICE.txt", _NOTICE)
    return graphs


@contextmanager
def _find_runtime(path: Path | None) -> Iterator[Path]:
    """Yield a folder with the files of the runtime, fetched by npm if need be."""
    if path is None and not _DEFAULT_RUNTIME.exists():
        with (
            TemporaryDirectory(prefix="glo-npm-") as temporary,
            _runtime_folder(_fetch_runtime(Path(temporary))) as folder,
        ):
            yield folder
        return
    with _runtime_folder(path or _DEFAULT_RUNTIME) as folder:
        yield folder


def _fetch_runtime(folder: Path) -> Path:
    """Fetch the package into a folder by npm, and return the path of its archive."""
    npm = shutil.which("npm")
    if npm is None:
        reason = "there is no npm to fetch it"
    else:
        command = [npm, "pack", _PACKAGE, "--silent", "--pack-destination", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        archives = list(folder.glob("*.tgz"))
        if done.returncode == 0 and archives:
            return archives[0]
        reason = f"npm could not fetch it ({_last_line(done.stderr) or 'it gave no reason'})"
    raise UserError(
        f"The page needs the npm package {_PACKAGE}, and {reason}; put its file "
        f"onnxruntime-web-{RUNTIME_VERSION}.tgz in this folder and give it as --runtime."
    )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else ""


@contextmanager
def _runtime_folder(path: Path) -> Iterator[Path]:
    """Yield a folder with the files of the runtime, unpacked from an archive if need be."""
    for folder in (path, path / "dist"):
        if all((folder / name).is_file() for name in _RUNTIME_FILES):
            yield folder
            return
    with TemporaryDirectory(prefix="glo-web-") as temporary:
        try:
            with tarfile.open(path) as archive:
                for name in _RUNTIME_FILES:
                    # By name: no other member of the archive is written.
                    member = archive.extractfile(f"package/dist/{name}")
                    if member is None:
                        raise KeyError(name)
                    (Path(temporary) / name).write_bytes(member.read())
        except (tarfile.TarError, KeyError, OSError, EOFError):
            raise UserError(
                f"{path} is not the npm package onnxruntime-web, which the page needs; download it "
                f"with npm pack {_PACKAGE} and give --runtime "
                f"onnxruntime-web-{RUNTIME_VERSION}.tgz, or the folder of npm install."
            ) from None
        yield Path(temporary)
