"""A small finished run with every kind of file, replaced by hostile ones in turn."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import glo
from glo.config.settings import Settings
from glo.data import Dataset
from glo.priors import build_prior, save_prior

__all__ = ["CHECKPOINT", "make_template", "resealed"]

CHECKPOINT = "checkpoint/final"

_PRIORS: dict[str, dict[str, Any]] = {
    "flow-matching": {"steps": 2, "batch_size": 64, "width": 8, "blocks": 1, "components": 2},
    "imle": {"passes": 1, "pool": 32, "width": 8, "blocks": 1},
    "normalizing-flow": {"steps": 2, "layers": 2, "width": 8},
    "mixture": {"components": 2},
}


def make_template(folder: Path) -> Path:
    """Train 20 noise images for two epochs, and return the run folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    samples = Dataset(
        rows=pixels, labels=np.arange(20) % 3, label_names=("a", "b", "c"), name="noise"
    )
    settings = Settings(
        width=4,
        code_dim=4,
        batch_size=8,
        epochs=20,
        ema_decay=0.9,
        device="cpu",
        precision="float32",
    )
    codes = glo.train(samples, settings=settings, run_dir=folder, verbose=0).codes
    for name, config in _PRIORS.items():
        save_prior(build_prior(name, constraint="ball", **config).fit(codes), folder / "prior")
    (folder / "evaluation.json").write_text(json.dumps(_EVALUATION), "utf-8")
    about = {
        "params": {"code_dim": 4, "epochs": 20, "more": {"warmup": 0.0}},
        "form": {"layout": "hw", "shape": [8, 8], "dtype": "uint8", "range": None, "side": 8},
    }
    (folder / "estimator.json").write_text(json.dumps(about), "utf-8")
    assert dataclasses.is_dataclass(settings)
    assert not torch.isnan(codes).any()
    return folder


_EVALUATION = {
    "n": 9,
    "training": {"n": 9, "mse": 0.25, "psnr": 12.04, "ssim": 0.5},
    "heldout": {"n": 9, "mse": 0.3, "psnr": 11.0, "ssim": 0.4, "seconds": 1.0, "per_second": 9.0},
    "features": {"name": "thumbnails", "dim": 64, "why": "grey images"},
    "floor": {"fd": 0.1, "kd": 0.01, "prdc": {"precision": 1.0, "recall": 1.0}},
    "priors": {
        "mixture": {
            "fd": {"value": 1.0},
            "memorisation": {"ratio": 1.0, "features": "thumbnails", "sentence": "No copies."},
        }
    },
    "notes": ["a note"],
}


def resealed(folder: Path) -> None:
    """Rewrite the manifest of a checkpoint with valid checksums after an edit."""
    path = folder / "manifest.json"
    try:
        values = json.loads(path.read_text("utf-8"))
        values.pop("seal", None)
        for name, facts in values["files"].items():
            content = (folder / name).read_bytes()
            facts |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    except Exception:  # a hostile manifest stays as it is
        return
    text = json.dumps(values, sort_keys=True)
    seal = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(values | {"seal": seal}), "utf-8")
