"""Every reader of untrusted files, by kind of file.

A reader takes the hostile file and a folder with a whole run, `run`, and returns whether it took
the file or left it out with a note. A reader that refuses raises UserError.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hostile_files.template import CHECKPOINT, resealed

from glo.cli.forget import _words
from glo.cli.info import _words as info_words
from glo.cli.options import NOTHING_GIVEN, merge
from glo.data import Dataset, SourceOptions, open_source
from glo.data.readers.images import decode, decode_opaque, probe
from glo.estimator.estimator import load
from glo.explorer.latent_space import LatentSpace
from glo.explorer.progress import TrainingLog
from glo.explorer.protocol import parse_object
from glo.explorer.scheduler import Scheduler
from glo.explorer.streaming_search import StreamingSearch
from glo.features.digits import read_digit_features
from glo.priors import load_labels, load_prior
from glo.report.context import read_context
from glo.report.curves import curves_section
from glo.report.overview import (
    diagnosis_section,
    evaluation_section,
    headline,
    settings_section,
)
from glo.runs.checkpoint import restore_training
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run, open_run
from glo.utils.row_ranges import parse_rows
from glo.workflows.inputs import open_inputs
from glo.workflows.restore import mask_from_file

__all__ = ["READERS", "Reader"]

Reader = Callable[[Path, Path], str]
TAKEN, LEFT_OUT = "accepted", "skipped"


def _told(skipped: Any) -> str:
    return LEFT_OUT if skipped else TAKEN


def _file(path: Path, root: Path) -> str:
    probe(path)
    decode(path)
    decode_opaque(path)
    return TAKEN


def _source(path: Path, root: Path) -> str:
    samples = open_source(path, SourceOptions(size=8), cache=root / "cache")
    samples.batch(torch.arange(min(2, len(samples))))
    return _told(samples.skipped)


def _folder(path: Path, root: Path) -> str:
    samples = open_source(path.parent, cache=root / "cache")
    assert all(sentence.isprintable() for sentence in samples.skipped)
    return _told(samples.skipped or len(samples) < 2)


def _encode(path: Path, root: Path) -> str:
    seen = open_inputs(open_run(root / "run"), [str(path.parent)])
    assert all(name.isprintable() for name in (*seen.names, *seen.skipped))
    return _told(seen.skipped or len(seen) < 2)


def _encode_one(path: Path, root: Path) -> str:
    return _told(open_inputs(open_run(root / "run"), [str(path)]).skipped)


def _mask(path: Path, root: Path) -> str:
    mask_from_file(path, (1, 8, 8))
    return TAKEN


def _upload(path: Path, root: Path) -> str:
    if path.stat().st_size > 20 * 2**20 or not path.is_file():
        return LEFT_OUT  # the page takes no more
    run = open_run(root / "run")
    space = LatentSpace(run, None, Scheduler())  # type: ignore[arg-type]
    StreamingSearch(space, Scheduler()).read(path.read_bytes(), path.name)
    return TAKEN


def _array(path: Path, root: Path) -> str:
    samples = open_source(path, cache=root / "cache")
    samples.batch(torch.arange(min(2, len(samples))))
    return TAKEN


def _idx_folder(path: Path, root: Path) -> str:
    samples = open_source(path.parent, cache=root / "cache")
    samples.batch(torch.arange(min(2, len(samples))))
    return TAKEN


def _store(name: str) -> Reader:
    def read(path: Path, root: Path) -> str:
        folder = root / "work" / "store"
        shutil.copytree(root / "store", folder)
        shutil.copy(path, folder / name)
        Dataset.open(folder).batch(torch.arange(2))
        return TAKEN

    return read


def _in_run(name: str, use: Callable[[Run], Any], *, seal: bool = False) -> Reader:
    """Replace a file of a run, open the run, and use it."""

    def read(path: Path, root: Path) -> str:
        folder = root / "work" / "run"
        shutil.copytree(root / "run", folder)
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, folder / name)
        if seal:
            resealed(folder / CHECKPOINT)
        try:
            found = use(open_run(folder))
        finally:
            assert (root / "outside.txt").is_file(), "a file outside the run was removed"
        return LEFT_OUT if found is None or found is False else TAKEN

    return read


def _info(run: Run) -> str:
    words = info_words(
        {
            "folder": str(run.folder),
            "preset": run.preset,
            "data": run.data.to_dict(),
            "settings": run.settings.to_dict(),
            "step": run.checkpoint.step,
            "finished": run.checkpoint.finished and run.summary is not None,
            "notes": list(run.checkpoint.notes),
            "summary": run.summary,
        }
    )
    assert words.replace("\n", "").isprintable()
    return words


def _all(run: Run) -> torch.Tensor:
    _info(run)
    assert len(run.codes) == run.data.n
    return run.sample(2)


def _page(run: Run) -> Any:
    context = read_context(run, None)
    headline(context)
    diagnosis_section(context)
    evaluation_section(context)
    return settings_section(context)


def _journal(path: Path, root: Path) -> str:
    work = root / "work" / "metrics.jsonl"
    shutil.copy(path, work)
    lines, count = len(work.read_bytes().splitlines()), len(read_metrics_log(work))
    TrainingLog(work).after(0)
    return _told(count < lines)


def _rows(path: Path, root: Path) -> str:
    parse_rows(_words(str(path)), 20)
    return TAKEN


def _request(path: Path, root: Path) -> str:
    parse_object(path.read_bytes()[: 20 * 2**20])
    return TAKEN


def _config(path: Path, root: Path) -> str:
    merge(None, path, NOTHING_GIVEN)
    return TAKEN


def _resume(run: Run) -> Any:
    return restore_training(run.checkpoint, run.settings)


def _prior(name: str) -> Reader:
    def use(run: Run) -> Any:
        return load_prior(run.folder / "prior", name).sample(3)

    return _in_run(f"prior/{name}.safetensors", use)


def _labels(run: Run) -> Any:
    labels = load_labels(run.folder / "prior")
    for each in labels.classes:
        assert labels.number(each) == each or labels.names
    return labels.predict(run.codes)


def _checkpoint(name: str) -> dict[str, Reader]:
    path = f"{CHECKPOINT}/{name}.safetensors"
    return {
        "checksum": _in_run(path, lambda run: not run.checkpoint.notes),
        "sample": _in_run(path, lambda run: (run.codes, run.sample(2)), seal=True),
        "resume": _in_run(path, _resume, seal=True),
    }


_FOLDERS: dict[str, Reader] = {"folder": _folder, "encode FOLDER": _encode}
_IMAGES: dict[str, Reader] = {
    "file": _file, "source": _source, "encode FILE": _encode_one, "mask": _mask, "upload": _upload,
}  # fmt: skip
READERS: dict[str, dict[str, Reader]] = {
    "image": {**_FOLDERS, **_IMAGES},
    "name or place": {**_FOLDERS, **{k: v for k, v in _IMAGES.items() if k != "upload"}},
    "npy": {
        "source": _array,
        "store rows": _store("rows.npy"),
        "store labels": _store("labels.npy"),
    },
    "npz": {"source": _array, "encode FILE": _encode_one},
    "idx": {"source": _idx_folder},
    "csv": {"source": _array},
    "parquet": {"source": _array, "encode FILE": _encode_one},
    "samples.json": {"store": _store("samples.json")},
    "config.toml": {"run": _in_run("config.toml", _all), "--config": _config},
    "manifest.json": {
        "run": _in_run(f"{CHECKPOINT}/manifest.json", _all),
        "run, sealed": _in_run(f"{CHECKPOINT}/manifest.json", _all, seal=True),
        "request": _request,
    },
    "summary.json": {
        "info": _in_run("summary.json", _info),
        "report": _in_run("summary.json", _page),
        "figures": _in_run("summary.json", lambda run: run.summary),
    },
    "evaluation.json": {"report": _in_run("evaluation.json", _page)},
    "estimator.json": {"load": _in_run("estimator.json", lambda run: load(run.folder))},
    "gone.json": {"run": _in_run(".change/gone.json", _info)},
    "metrics.jsonl": {
        "journal": _journal,
        "report": _in_run("metrics.jsonl", lambda run: curves_section(read_context(run, None))),
    },
    "row numbers": {"forget": _rows},
    "errors": {"errors": _in_run("errors.safetensors", lambda run: run.errors)},
    "labels": {"labels": _in_run("prior/labels.safetensors", _labels)},
    "digit network": {"features": lambda path, root: (read_digit_features(path), TAKEN)[1]},
    **{name: _checkpoint(name) for name in ("decoder", "averaged", "optimizer")},
    "statistics": _checkpoint("statistics-0-of-1"),
    "codes": _checkpoint("rows-0-of-1"),
    **{
        f"{name} prior": {"sample": _prior(name)}
        for name in ("gaussian", "mixture", "flow-matching", "imle", "normalizing-flow")
    },
}
