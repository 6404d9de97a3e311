"""The journal and the pictures of a run as event files of TensorBoard."""

import warnings
from pathlib import Path
from typing import Any

from glo.data.readers.images import decode
from glo.errors import UserError, require_extra
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run

__all__ = ["export_tensorboard"]

# What says where a record belongs, and is no curve.
_PLACES = ("kind", "step", "rows", "elapsed")
_KINDS = ("step", "epoch")
_OURS = ".glo"
# A step is a whole number of 64 bits there, and nothing here lasts as long.
_MOST = 1e15


def export_tensorboard(run: Run, folder: Path) -> Path:
    """Write the curves, settings and pictures of a run as an event file, and return the folder.

    Each number of metrics.jsonl is a curve over the steps, `step/loss` or `epoch/mse`; pictures of
    `samples/` stand at their epoch, the others at the last step. A run that still trains may be
    written again: the event file of an earlier call is replaced.

    Args:
        run: with at least one record.
        folder: is made.

    Raises:
        UserError: there is no record yet, or tensorboard is not installed.

    Example:
        >>> run = open_run("runs/mnist")  # doctest: +SKIP
        >>> export_tensorboard(run, Path("events/mnist"))  # doctest: +SKIP
    """
    require_extra("TensorBoard", "tensorboard", "tensorboard")
    records = [each for each in read_metrics_log(run.folder / "metrics.jsonl") if _is_whole(each)]
    if not records:
        raise UserError(f"{run.folder} has no record in metrics.jsonl yet; train for longer.")
    for old in folder.glob(f"events.out.tfevents.*{_OURS}"):
        old.unlink()
    with warnings.catch_warnings():
        # The library warns of its own parts.
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(folder, filename_suffix=_OURS) as writer:
            began = (run.folder / "metrics.jsonl").stat().st_mtime - records[-1]["elapsed"]
            for record in records:
                _write_record(writer, record, began)
            _write_settings(writer, run)
            _write_pictures(writer, run, records, began)
    return folder


def _write_record(writer: Any, record: dict[str, Any], began: float) -> None:
    for name, value in record.items():
        # Texts of a protocol buffer hold no surrogates.
        if name not in _PLACES and isinstance(value, int | float) and name.isprintable():
            tag = f"{record['kind']}/{name}"
            writer.add_scalar(tag, value, record["step"], walltime=began + record["elapsed"])


def _is_whole(record: dict[str, Any]) -> bool:
    # A file may have been edited by hand, or by a stranger.
    numbers = [record.get(name) for name in ("step", "elapsed", "epoch")]
    finite = all(isinstance(each, int | float) and abs(each) < _MOST for each in numbers)
    return finite and record.get("kind") in _KINDS


def _write_settings(writer: Any, run: Run) -> None:
    rows = "\n".join(f"| {name} | {value} |" for name, value in run.settings.to_dict().items())
    writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{rows}")


def _write_pictures(writer: Any, run: Run, records: list[dict[str, Any]], began: float) -> None:
    epochs = {record["epoch"]: record for record in records if record["kind"] == "epoch"}
    for path in sorted((run.folder / "samples").glob("*.png")):
        kind, _, number = path.stem.partition("epoch-")
        record = epochs.get(int(number)) if number.isdecimal() and not kind else records[-1]
        if record is None or not path.stem.isprintable():
            continue
        try:
            pixels = decode(path)
        except UserError:
            continue
        writer.add_image(
            f"pictures/{'training' if number else path.stem}",
            pixels,
            record["step"],
            walltime=began + record["elapsed"],
            dataformats="HWC",
        )
