"""Checkpoints that are whole or not there at all.

A checkpoint is a folder of safetensors files and a manifest with their checksums. It is written
under another name, flushed to the disk and renamed, so a power cut, a kill or a full disk leaves
the one before it untouched. The last two are kept: when the newest was damaged later, the other is
used, and a sentence says so. There is no pickle in it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from glo.codes import CodeTable
from glo.decoders import Decoder, build_decoder
from glo.errors import UserError
from glo.files import flush, write_text
from glo.optimizers import JointOptimizer
from glo.precision import channels_last
from glo.recipe import row_rule
from glo.settings import Settings
from glo.tensors import write_tensors
from glo.training import Training

__all__ = ["Checkpoint", "newest_checkpoint", "restore_training", "save_checkpoint"]

FORMAT = 1
_KEPT = 2
_MANIFEST = "manifest.json"
_ROWS = "rows-0-of-1.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk whose files were compared with their checksums.

    Attributes:
        folder: where it is.
        step: updates made.
        finished: whether training and polishing were over.
        facts: what the caller saved with it, such as the seconds spent.
        notes: a sentence for each newer checkpoint that was damaged and passed over.
    """

    folder: Path
    step: int
    finished: bool
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()

    def decoder(self) -> Decoder:
        """Return the decoder to use, in evaluation mode."""
        name = "averaged" if (self.folder / "averaged.safetensors").exists() else "decoder"
        path = self.folder / f"{name}.safetensors"
        with safe_open(path, framework="pt") as file:
            config = json.loads(file.metadata()["config"])
        decoder = build_decoder(config)
        decoder.load_state_dict(load_file(path))
        return channels_last(decoder).eval()

    def codes(self) -> Tensor:
        """Return the codes, (N, D), without their optimiser's state."""
        with safe_open(self.folder / _ROWS, framework="pt") as file:
            codes: Tensor = file.get_tensor("codes")
        return codes


def save_checkpoint(
    root: Path, training: Training, *, finished: bool, facts: dict[str, Any]
) -> Path:
    """Write a checkpoint of `training` and remove all but the last two.

    Args:
        root: the folder of checkpoints, `checkpoint/` in a run.
        training: what to save.
        finished: whether training and polishing are over.
        facts: anything JSON-able to keep with it.

    Returns:
        its folder.

    Raises:
        OSError: it could not be written; earlier checkpoints are as they were.
    """
    target = root / ("final" if finished else f"step-{training.step:012d}")
    writing = root / f".writing-{os.getpid()}"
    # What killed processes left half done would fill the disk; a run has one writer, so it is safe.
    for litter in (*root.glob(".writing-*"), *root.glob(".removing-*")):
        shutil.rmtree(litter, ignore_errors=True)
    writing.mkdir(parents=True)
    try:
        files = {name: _write(writing / name, *content) for name, content in _contents(training)}
        manifest = {
            "format": FORMAT,
            "step": training.step,
            "finished": finished,
            "facts": facts,
            "files": files,
        }
        sealed = manifest | {"seal": _seal(manifest)}
        write_text(writing / _MANIFEST, json.dumps(sealed, indent=1))
        flush(writing)
        # A folder cannot be replaced in one step; the one before it stays valid in between.
        _remove(target)
        writing.rename(target)
        flush(root)
    finally:
        _remove(writing)
    for old in _newest_first(root)[_KEPT:]:
        _remove(old)
    return target


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or None when there never was one.

    Raises:
        UserError: there are checkpoints, and every one is damaged.
    """
    notes: list[str] = []
    for folder in _newest_first(root):
        fault = _fault(folder)
        if fault is None:
            manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
            return Checkpoint(
                folder=folder,
                step=manifest["step"],
                finished=manifest["finished"],
                facts=manifest["facts"],
                notes=tuple(f"{note}; the checkpoint before it is used." for note in notes),
            )
        notes.append(f"{folder} is damaged: {fault}")
    if notes:
        raise UserError(
            f"{'; '.join(notes)}; no whole checkpoint is left, so train again into another folder."
        )
    return None


def restore_training(checkpoint: Checkpoint, settings: Settings) -> Training:
    """Rebuild the training that a checkpoint holds; it goes on bit for bit as it would have.

    Args:
        checkpoint: whole, as `newest_checkpoint` gives it.
        settings: those it was made with, which the run folder keeps beside it.
    """
    folder = checkpoint.folder
    with safe_open(folder / "decoder.safetensors", framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    decoder = build_decoder(config)
    rows = load_file(folder / _ROWS)
    codes = rows.pop("codes")
    table = CodeTable(codes, rule=row_rule(settings), constraint=settings.constraint, state=rows)
    training = Training(settings, decoder, table)
    training.decoder.load_state_dict(load_file(folder / "decoder.safetensors"))
    if training.averaged is not None:
        averaged = load_file(folder / "averaged.safetensors")
        training.finished_decoder.load_state_dict(averaged)
        training.averaged.n_averaged.fill_(checkpoint.step)
    _restore_optimizer(training.optimizer, load_file(folder / "optimizer.safetensors"))
    training.tally.restore(load_file(folder / "tally.safetensors"))
    training.step = checkpoint.step
    return training


def _contents(training: Training) -> Iterator[tuple[str, tuple[dict[str, Tensor], dict[str, str]]]]:
    config = {"config": json.dumps(training.decoder.config)}
    yield "decoder.safetensors", (training.decoder.state_dict(), config)
    if training.averaged is not None:
        yield "averaged.safetensors", (training.finished_decoder.state_dict(), config)
    yield "optimizer.safetensors", (_optimizer_tensors(training.optimizer), {})
    table = training.table
    yield _ROWS, ({"codes": table.codes, **table.state}, {"rank": "0", "ranks": "1"})
    yield "tally.safetensors", (training.tally.tensors(), {})


def _optimizer_tensors(optimizer: JointOptimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": value
        for index, values in enumerate(optimizer.state.values())
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore_optimizer(optimizer: JointOptimizer, tensors: dict[str, Tensor]) -> None:
    states = list(optimizer.state.items())
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        parameter, state = states[int(index)]
        # Moments must lie in memory as their weights do: the fused step pairs them by position.
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
        # The fused step wants its counter where the weights are, too.
        state[key] = value.to(parameter.device)


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> dict[str, Any]:
    write_tensors(path, tensors, metadata)
    return {"sha256": _digest(path), "bytes": path.stat().st_size}


def _seal(manifest: dict[str, Any]) -> str:
    text = json.dumps(manifest, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fault(folder: Path) -> str | None:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return f"{_MANIFEST} is missing or cannot be read"
    if not isinstance(manifest, dict):
        return f"{_MANIFEST} was edited (it is not an object)"
    if manifest.get("format") != FORMAT:
        return f"its format is {manifest.get('format')}, and this version reads {FORMAT}"
    if manifest.pop("seal", None) != _seal(manifest):
        return f"{_MANIFEST} was edited (it differs from its checksum)"
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if _digest(path) != facts["sha256"]:
            return f"{name} was cut or edited (it differs from its checksum)"
    return None


def _newest_first(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    steps = sorted((p for p in root.iterdir() if p.name.startswith("step-")), reverse=True)
    return [p for p in [root / "final"] if p.is_dir()] + [p for p in steps if p.is_dir()]


def _remove(folder: Path) -> None:
    # Renamed first: a removal that is cut off must not leave half a checkpoint under its name.
    if folder.exists():
        doomed = folder.with_name(f".removing-{os.getpid()}-{folder.name}")
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
