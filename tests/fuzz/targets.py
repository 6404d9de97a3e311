"""A target for each reader of files from others: bytes go in, and only UserError may come out.

`benchmarks/fuzz_atheris.py` drives the same targets by coverage.
"""

import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from tests.builders import finish

from glo.cli.options import NOTHING_GIVEN, merge
from glo.data import Dataset, open_source, read_idx
from glo.data.readers.images import decode, decode_opaque, probe
from glo.errors import UserError
from glo.estimator.estimator import load
from glo.explorer.protocol import parse_object
from glo.features.digits import DIGITS_FILE, read_digit_features
from glo.priors import build_prior, load_labels, load_prior, save_prior
from glo.report.context import read_context
from glo.report.overview import headline
from glo.runs.checkpoint import restore_training
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run, open_run
from glo.utils.files import read_text
from glo.utils.row_ranges import parse_rows
from glo.utils.safetensors_io import read_tensors
from glo.workflows.restore import mask_from_file

__all__ = ["Readers"]

Target = Callable[[Path], Any]
_FINAL = "checkpoint/final"
_PRIORS: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "mixture": {"components": 2},
    "imle": {"passes": 1, "pool": 32, "width": 8, "blocks": 1},
    "flow-matching": {"steps": 2, "batch_size": 64, "width": 8, "blocks": 1, "components": 2},
}


@final
class Readers:
    """All readers, and whole files that they take.

    Args:
        root: an empty folder. A small run is made in it.

    Attributes:
        targets: what reads the file of a path, by name.
        seeds: whole files, by the same names.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.run = root, root / "run"
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
        words = {"labels": np.arange(20) % 3, "label_names": ("a", "b", "c")}
        samples = Dataset(rows=pixels, name="noise", **words)  # type: ignore[arg-type]
        finish(self.run, samples, ema_decay=0.9, device="cpu", precision="float32")
        samples.save(root / "store")
        codes = open_run(self.run).codes
        for name, config in _PRIORS.items():
            save_prior(build_prior(name, **config).fit(codes), self.run / "prior")
        load(self.run).save(root / "saved")
        self.targets: dict[str, Target] = {**_files(), **self._parts()}
        self.seeds = _seeds(pixels) | {
            name: [(self.root / path).read_bytes()] for name, path in self._paths.items()
        }

    def read(self, name: str, content: bytes) -> bool:
        """Let a reader read a file of that content, and return whether it took it.

        Raises:
            Exception: anything but a UserError, or a message that a terminal cannot show.
        """
        path = self.root / self._paths.get(name, "hostile" + _SUFFIXES.get(name, ""))
        before = path.read_bytes() if name in self._paths else None
        path.write_bytes(content)
        said = "taken"
        try:
            self.targets[name](path)
        except UserError as error:
            said = str(error)
        finally:
            path.unlink() if before is None else path.write_bytes(before)
        assert said.isprintable(), said
        assert 0 < len(said) < 4200, "a sentence"
        return said == "taken"

    @property
    def _paths(self) -> dict[str, str]:
        """Where the parts of a run or a saved set lie, by the name of their reader."""
        final = {name: f"run/{_FINAL}/{name}.safetensors" for name in ("decoder", "averaged")}
        return {
            **final,
            "optimizer": f"run/{_FINAL}/optimizer.safetensors",
            "statistics": f"run/{_FINAL}/statistics-0-of-1.safetensors",
            "codes": f"run/{_FINAL}/rows-0-of-1.safetensors",
            "manifest": f"run/{_FINAL}/manifest.json",
            "errors": "run/errors.safetensors",
            "labels": "run/prior/labels.safetensors",
            **{f"{name} prior": f"run/prior/{name}.safetensors" for name in _PRIORS},
            "config": "run/config.toml",
            "summary": "run/summary.json",
            "journal": "run/metrics.jsonl",
            "estimator": "saved/estimator.json",
            "facts of a set": "store/samples.json",
            "rows of a set": "store/rows.npy",
        }

    def _parts(self) -> dict[str, Target]:
        run, settings = self.run, open_run(self.run).settings
        checkpoint = open_run(run).checkpoint

        def resume(_: Path) -> Any:
            return restore_training(checkpoint, settings)

        def store(path: Path) -> Any:
            return Dataset.open(path.parent).batch(torch.arange(2))

        def prior(path: Path) -> Any:
            return load_prior(path.parent, path.stem).sample(2)

        return {
            "decoder": resume,
            "averaged": lambda _: checkpoint.decoder()(torch.zeros(1, 4)),
            "optimizer": resume,
            "statistics": resume,
            "codes": lambda _: (resume(_), checkpoint.codes()),
            "manifest": lambda _: open_run(run).checkpoint,
            "errors": lambda _: open_run(run).errors,
            "labels": lambda path: load_labels(path.parent).predict(torch.zeros(2, 4)),
            **{f"{name} prior": prior for name in _PRIORS},
            "config": lambda path: (merge(None, path, NOTHING_GIVEN), _used(open_run(run))),
            "summary": lambda _: headline(read_context(open_run(run), None)),
            "journal": read_metrics_log,
            "estimator": lambda path: load(path.parent),
            "facts of a set": store,
            "rows of a set": store,
        }


def _used(run: Run) -> Any:
    return run.codes, run.decoder, run.sample(1)


_SUFFIXES = {"image": ".png", "mask": ".png", "npy": ".npy", "npz": ".npz"}


def _files() -> dict[str, Target]:
    def array(path: Path) -> Any:
        return open_source(path, cache=path.parent / "cache").batch(torch.arange(1))

    return {
        "image": lambda path: (probe(path), decode(path), decode_opaque(path)),
        "mask": lambda path: mask_from_file(path, (1, 8, 8)),
        "npy": array,
        "npz": array,
        "idx": read_idx,
        "tensors": read_tensors,
        "digit network": read_digit_features,
        "row numbers": lambda path: parse_rows(read_text(path, max_bytes=1000), 20),
        "request": lambda path: parse_object(path.read_bytes()),
    }


_IMAGES = (
    ("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "CMYK"), ("JPEG", "L"), ("GIF", "P"), ("TIFF", "I"),
    ("TIFF", "RGB"), ("WEBP", "RGBA"), ("BMP", "1"), ("PPM", "RGB"), ("TGA", "RGB"),
    ("ICO", "RGBA"), ("PCX", "L"), ("DDS", "RGBA"),
)  # fmt: skip


def _seeds(pixels: np.ndarray[Any, Any]) -> dict[str, list[bytes]]:
    images = [
        _saved(Image.fromarray(pixels[0, ..., 0]).convert(mode), kind) for kind, mode in _IMAGES
    ]
    array = _array(pixels[:5])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", array)
    idx = bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 8]) + pixels[:5].tobytes()
    return {
        "image": images,
        "mask": images[:2],
        "npy": [array, _array(np.linspace(0, 1, 12).reshape(3, 4))],
        "npz": [packed.getvalue()],
        "idx": [idx, gzip.compress(idx), lzma.compress(idx)],
        "tensors": [save({"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)})],
        "digit network": [DIGITS_FILE.read_bytes()],
        "row numbers": [b"3,17 5-9"],
        "request": [b'{"n": 4, "seed": [1, null, "a"]}'],
    }


def _saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _array(values: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()
