"""All families, by the kind of file they replace."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from glo.data import Dataset

from . import arrays, images, places, tables, tensors, texts
from .template import CHECKPOINT

__all__ = ["NAMES", "PLACES", "make_families"]

PLACES = "name or place"
NAMES = {
    "image": ("hostile.png", "hostile.jpg", "hostile.webp", "hostile.tif", "hostile.gif"),
    "npy": ("hostile.npy",),
    "npz": ("hostile.npz",),
    "csv": ("hostile.csv",),
    "parquet": ("hostile.parquet",),
    "idx": ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.xz"),
    "digit network": ("hostile.safetensors",),
}

_TENSORS = {
    "decoder": f"{CHECKPOINT}/decoder",
    "averaged": f"{CHECKPOINT}/averaged",
    "codes": f"{CHECKPOINT}/rows-0-of-1",
    "optimizer": f"{CHECKPOINT}/optimizer",
    "statistics": f"{CHECKPOINT}/statistics-0-of-1",
    "errors": "errors",
    "labels": "prior/labels",
    "gaussian prior": "prior/gaussian",
    "mixture prior": "prior/mixture",
    "flow-matching prior": "prior/flow-matching",
    "imle prior": "prior/imle",
    "normalizing-flow prior": "prior/normalizing-flow",
}


def make_families(run: Path) -> dict[str, dict[str, Any]]:
    """Return families by kind; those of a run are derived from a valid run.

    A maker takes a generator of random numbers and returns the bytes of a file; one of places takes
    the folder, too, and returns the file that it made there.

    Args:
        run: a whole run, as of `make_template`. A saved data set is put beside it, as `store`.
    """
    from glo.features.digits import DIGITS_FILE

    store = run.parent / "store"
    pixels = np.zeros((5, 8, 8, 1), np.uint8)
    Dataset(rows=pixels, labels=np.arange(5), name="five", skipped=("a.png: empty",)).save(store)
    jsons = {"manifest.json": f"{CHECKPOINT}/manifest.json", "summary.json": "summary.json"}
    jsons |= {name: name for name in ("evaluation.json", "estimator.json")}
    return {
        "image": images.FAMILIES,
        PLACES: places.FAMILIES,
        "npy": arrays.NPY,
        "npz": arrays.NPZ,
        "idx": arrays.IDX,
        "csv": tables.CSV,
        "parquet": tables.PARQUET,
        "samples.json": texts.json_families((store / "samples.json").read_bytes()),
        "config.toml": texts.toml_families((run / "config.toml").read_bytes()),
        **{kind: texts.json_families((run / path).read_bytes()) for kind, path in jsons.items()},
        "gone.json": texts.json_families(json.dumps(["old.json"]).encode()),
        "metrics.jsonl": texts.journal_families((run / "metrics.jsonl").read_bytes()),
        "row numbers": texts.rows_families(),
        **{
            kind: tensors.families((run / f"{path}.safetensors").read_bytes())
            for kind, path in _TENSORS.items()
        },
        "digit network": tensors.families(DIGITS_FILE.read_bytes()),
    }
