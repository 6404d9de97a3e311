"""TensorBoard events: a live callback, and export of a finished run."""

import warnings
from pathlib import Path
from typing import Any, final

from glo.data.readers.images import decode
from glo.errors import UserError, require_extra
from glo.runs.metrics_log import read_metrics_log
from glo.runs.run import Run
from glo.training.callbacks import Callback
from glo.training.statistics import EpochRecord, StepRecord

__all__ = ["TensorBoard", "export_tensorboard"]

# Fields of a record that are no curves.
_PLACES = ("kind", "step", "rows", "elapsed")
_KINDS = ("step", "epoch")
_OURS = ".glo"
# TensorBoard stores steps in 64 bits.
MAX_STEP = 1e15


@final
class TensorBoard(Callback):
    """Callback that writes curves and previews as TensorBoard events while a run trains.

    Tags are those of `export_tensorboard`. Needs the extra `tensorboard`.

    Args:
        folder: folder of the event files; None: `tensorboard/` in the run folder.
        every: steps between logged steps.

    Raises:
        UserError: tensorboard is not installed.

    Example:
        >>> callbacks = [TensorBoard("events/mnist"), *default_callbacks()]  # doctest: +SKIP
        >>> glo.train("mnist", callbacks=callbacks)  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path | None = None, *, every: int = 50) -> None:
        require_extra("TensorBoard", "tensorboard", "tensorboard")
        self.folder = folder
        self.every = every

    def on_train_begin(self, training: Any) -> None:
        """Open an event file and hide events after the resumed step."""
        self._writer = _open_writer(
            self.folder or training.run.folder / "tensorboard", purge_step=training.steps_made + 1
        )
        _write_settings(self._writer, training.run)

    def on_step(self, training: Any, record: StepRecord) -> None:
        """Write the numbers of a step."""
        if record.step % self.every == 0:
            self._write("step", record)

    def on_epoch_end(self, training: Any, record: EpochRecord) -> None:
        """Write the numbers of an epoch, and its preview where one was drawn before."""
        self._write("epoch", record)
        picture = training.run.folder / "samples" / f"epoch-{record.epoch:04d}.png"
        if picture.is_file():
            pixels = decode(picture)
            self._writer.add_image("pictures/training", pixels, record.step, dataformats="HWC")
        self._writer.flush()

    def on_train_end(self, training: Any) -> None:
        """Close the event file."""
        if training.state is not None:
            self._writer.close()

    def _write(self, kind: str, record: StepRecord | EpochRecord) -> None:
        for name, value in record.to_dict().items():
            if name not in _PLACES:
                self._writer.add_scalar(f"{kind}/{name}", value, record.step)


def _open_writer(folder: str | Path, **options: Any) -> Any:
    with warnings.catch_warnings():
        # The library warns of its own parts.
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), filename_suffix=_OURS, **options)


def export_tensorboard(run: Run, folder: Path) -> Path:
    """Write the curves, settings and pictures of a run as an event file, and return the folder.

    Each number of metrics.jsonl is a curve over the steps, `step/loss` or `epoch/mse`; pictures of
    `samples/` stand at their epoch, the others at the last step. An unfinished run
    may be exported again: the event file of an earlier call is replaced.
    """
    require_extra("TensorBoard", "tensorboard", "tensorboard")
    records = [each for each in read_metrics_log(run.folder / "metrics.jsonl") if _is_whole(each)]
    if not records:
        raise UserError(f"{run.folder} has no record in metrics.jsonl yet; train for longer.")
    for old in folder.glob(f"events.out.tfevents.*{_OURS}"):
        old.unlink()
    with _open_writer(folder) as writer:
        start = (run.folder / "metrics.jsonl").stat().st_mtime - records[-1]["elapsed"]
        for record in records:
            _write_record(writer, record, start)
        _write_settings(writer, run)
        _write_pictures(writer, run, records, start)
    return folder


def _write_record(writer: Any, record: dict[str, Any], start: float) -> None:
    for name, value in record.items():
        # Strings of a protocol buffer hold no surrogates.
        if name not in _PLACES and isinstance(value, int | float) and name.isprintable():
            tag = f"{record['kind']}/{name}"
            writer.add_scalar(tag, value, record["step"], walltime=start + record["elapsed"])


def _is_whole(record: dict[str, Any]) -> bool:
    # The file may have been edited by hand.
    numbers = [record.get(name) for name in ("step", "elapsed", "epoch")]
    finite = all(isinstance(each, int | float) and abs(each) < MAX_STEP for each in numbers)
    return finite and record.get("kind") in _KINDS


def _write_settings(writer: Any, run: Run) -> None:
    rows = "\n".join(f"| {name} | {value} |" for name, value in run.settings.to_dict().items())
    writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{rows}")


def _write_pictures(writer: Any, run: Run, records: list[dict[str, Any]], start: float) -> None:
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
            walltime=start + record["elapsed"],
            dataformats="HWC",
        )
