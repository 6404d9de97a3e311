"""A folder of plain files that samples a run in the browser, from any web server."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from glo.errors import UserError
from glo.export.onnx import Graphs, export_onnx
from glo.runs.run import Run
from glo.utils.files import atomic_write, write_text

__all__ = ["RUNTIME_VERSION", "export_web"]

RUNTIME_VERSION = "1.30.0"
"""Version of onnxruntime-web that the page was tried with."""

# The smallest build: its glue, and one that computes on the processor alone.
_RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_PAGE = ("index.html", "style.css", "main.js", "model.js", "draw.js")
_INSTALLED = Path("node_modules") / "onnxruntime-web"
_NOTICE = f"""{_RUNTIME[0]} and {_RUNTIME[1]} are parts of the npm package onnxruntime-web.
Copyright (c) Microsoft Corporation. Licensed under the MIT License:
https://github.com/microsoft/onnxruntime/blob/main/LICENSE
"""


def export_web(
    run: Run, folder: Path, *, runtime: Path | None = None, prior: str | None = None
) -> Graphs:
    """Write a static page that samples and interpolates a run on the device of who opens it.

    Everything that it needs lies in the folder: the graphs of `export_onnx`, the page, and the two
    files of onnxruntime-web, which are too large (14 MB) to come with this package.

    Args:
        run: finished.
        folder: is made; files of these names are replaced.
        runtime: the npm package onnxruntime-web: its folder, or the .tgz that `npm pack` makes;
            None: node_modules/onnxruntime-web.
        prior: which one; None: that of the run.

    Returns:
        what `export_onnx` returned.

    Raises:
        UserError: the runtime is not there, or as for `export_onnx`.

    Example:
        >>> export_web(open_run("runs/mnist"), Path("page"))  # doctest: +SKIP
    """
    with _runtime(runtime or _INSTALLED) as room:
        made = export_onnx(run, folder, prior=prior)
        for name in _RUNTIME:
            _copy((room / name).read_bytes(), folder / name)
    for name in _PAGE:
        _copy(files("glo.export").joinpath("static", name).read_bytes(), folder / name)
    write_text(folder / "NOTICE.txt", _NOTICE)
    return made


@contextmanager
def _runtime(given: Path) -> Iterator[Path]:
    """Give a folder that has the runtime's files."""
    for place in (given, given / "dist"):
        if all((place / name).is_file() for name in _RUNTIME):
            yield place
            return
    if not given.is_file():
        raise UserError(_lacking(given))
    with TemporaryDirectory(prefix="glo-web-") as room:
        _unpack(given, Path(room))
        yield Path(room)


def _unpack(archive: Path, room: Path) -> None:
    try:
        with tarfile.open(archive) as packed:
            for name in _RUNTIME:
                # By name: nothing else of the archive is written anywhere.
                member = packed.extractfile(f"package/dist/{name}")
                if member is None:
                    raise KeyError(name)
                (room / name).write_bytes(member.read())
    except (tarfile.TarError, KeyError, OSError, EOFError):
        raise UserError(_lacking(archive)) from None


def _lacking(place: Path) -> str:
    return (
        f"{place} is not the npm package onnxruntime-web, on which the page runs; fetch it with "
        f"npm pack onnxruntime-web@{RUNTIME_VERSION} and give --runtime "
        f"onnxruntime-web-{RUNTIME_VERSION}.tgz, or the folder that npm install made."
    )


def _copy(content: bytes, path: Path) -> None:
    with atomic_write(path) as writing:
        writing.write_bytes(content)
