"""Training run: from data and settings to a finished run folder, resumable at every step."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, final

from glo.config.settings import Settings
from glo.data import Dataset, open_source
from glo.data.loader import fits_on_device
from glo.decoders import DecoderLike, decoder_name
from glo.imaging.previews import Previews
from glo.inversion.refine import refine_codes
from glo.latents.init import fit_pca
from glo.runs.checkpoint import (
    checkpoint_at,
    keep_last,
    newest_checkpoint,
    restore_training,
    save_checkpoint,
)
from glo.runs.metrics_log import MetricsLog
from glo.runs.reading_record import notes_of, write_reading
from glo.runs.row_ids import RowIds
from glo.runs.run import DataRecord
from glo.runs.training_data import source_options, source_place
from glo.training.callbacks import Message, call_hook
from glo.training.diagnosis import Baselines, diagnose
from glo.training.evaluation import recompute_batchnorm_stats
from glo.training.factory import code_row, training_loss
from glo.training.loop import train as train_loop
from glo.training.state import TrainState, init_train_state
from glo.training.statistics import EpochRecord
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_store import IN_MEMORY, RowStore
from glo.utils.signals import StopRequest
from glo.utils.torch_defaults import with_torch_defaults
from glo.workflows.finalize import finalize
from glo.workflows.preflight import check_folder, check_settings, lock_folder
from glo.workflows.progress import ProgressBar
from glo.workflows.run import Run
from glo.workflows.validate import Validation, open_validation
from glo.workflows.warm_start import WarmStart

__all__ = ["TrainingRun", "default_callbacks", "train"]

# Several processes agree every so many steps whether to save or to stop.
_AGREE_STEPS = 10
MAX_SECONDS = 1e10


def default_callbacks() -> list[Any]:
    """Return the callbacks of a run that names none: metrics log and previews.

    Example:
        >>> [type(callback).__name__ for callback in default_callbacks()]
        ['MetricsLog', 'Previews']
    """
    return [MetricsLog(), Previews()]


def train(
    data: Any,
    *,
    settings: Settings | None = None,
    run_dir: str | Path | None = None,
    decoder: DecoderLike | None = None,
    validation: Any = None,
    callbacks: Sequence[object] | None = None,
    verbose: bool | Literal[0, 1] = 1,
) -> Run:
    """Train on `data` and return the run; the same call resumes an interrupted run.

    It is `glo train` as a function: same folder, same numbers, without the report.

    Args:
        data: anything that `glo.open_source` takes: a name, path, array, tensor, data frame, torch
            `Dataset`, or `glo.Dataset`.
        settings: settings of the run; None: the defaults. `size`, `channels`, `crop` and `limit`
            are applied to `data`.
        run_dir: path of the run folder; None: `runs/` and the name of the data.
        decoder: custom decoder; None: the one that `settings` names.
        validation: held-out examples, anything that `data` may be, whose error is measured while
            training; None: those that `settings` names by a fraction or a path.
        callbacks: objects with hooks of `glo.Callback`; None: `glo.default_callbacks()`.
        verbose: 1 shows progress with the time left; 0 shows nothing.

    Returns:
        the finished run.

    Raises:
        UserError: data or settings cannot be used, or the folder belongs to other ones.
        TrainingDiverged: the loss stays non-finite; earlier checkpoints are kept.
        KeyboardInterrupt: Ctrl-C, after the run was saved.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
        >>> settings = Settings(code_dim=2, width=4, epochs=1, prior="gaussian")
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> run = train(images, settings=settings, run_dir=folder, verbose=0)
        >>> run.sample(3, seed=1).shape
        torch.Size([3, 1, 8, 8])
    """
    settings = settings or Settings()
    samples = open_source(data, source_options(settings, limit=settings.limit))
    held_out = None
    if isinstance(validation, int | float | str | Path):
        settings = Settings(**{**vars(settings), "validation": validation})
    elif validation is not None:
        options = replace(source_options(settings), reading=samples.reading)
        held_out = open_source(validation, options)
    hooks = default_callbacks() if callbacks is None else list(callbacks)
    if verbose:
        hooks.append(ProgressBar())
    with StopRequest() as stop:
        training = TrainingRun(
            Path(run_dir or Path("runs") / samples.name),
            samples,
            settings,
            source=str(data) if isinstance(data, str | Path) else samples.name,
            preset="python",
            decoder=decoder,
            validation=held_out,
            callbacks=hooks,
            stop=lambda: stop.requested,
        )
        try:
            finished = training.fit()
        finally:
            training.close()
    if not finished and stop.requested:
        raise KeyboardInterrupt
    return training.run


class _Stopped(Exception):
    """The run was asked to stop."""


@final
class TrainingRun:
    """One training job on a run folder, new or begun earlier with the same data and settings.

    Several processes drive one each, over the same folder, in step; the first one alone writes
    what is not per row, calls callbacks, and fits the priors at the end.

    Args:
        source: the data as the user named them.
        ranks: processes that train the run together.
        decoder: custom decoder; None: the one that `settings` names.
        validation: held-out examples; None: those that `settings` names.
        stop: returns True where the run should stop, such as after a signal.

    Attributes:
        run: the run, as `glo.open_run` opens it.
        samples: training examples of all processes; columns of vectors are standardized.
        local_samples: examples of this process.
        state: decoder, codes, optimizers and step number; None before `fit`.
        baselines: errors of the mean image and of PCA; None before `fit`.
        validation: held-out examples, and the checks of their error so far.
        should_stop: set it to True to stop after the present step.

    Raises:
        UserError: the folder belongs to other data or settings, or is in use.
    """

    @with_torch_defaults
    def __init__(
        self,
        folder: Path,
        samples: Dataset,
        settings: Settings,
        *,
        source: str,
        preset: str,
        ranks: ProcessGroup = SINGLE_PROCESS,
        decoder: DecoderLike | None = None,
        validation: Dataset | None = None,
        callbacks: Sequence[object] = (),
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        whole = samples
        samples, validation = open_validation(samples, settings, validation)
        record = DataRecord(
            source=source,
            name=samples.name,
            n=len(samples),
            shape=tuple(samples.shape),
            fingerprint=samples.fingerprint,
            held_out=validation.fingerprint if validation is not None else "",
            whole=whole.fingerprint if len(whole) > len(samples) else "",
            **source_place(source, folder),
        )
        if settings.decoder is None and decoder is not None:
            settings = replace(settings, decoder=decoder_name(decoder))
        if settings.decoder is None and not samples.is_images:
            # The number of epochs depends on it.
            settings = replace(settings, decoder="mlp")
        self.run = Run(folder, settings=settings, data=record, preset=preset, decoder=decoder)
        # Errors, and so the run, are in standard deviations of each column.
        self.samples = samples = samples.standardized()
        self.validation = Validation(samples, validation, settings)
        self.ranks = ranks
        self.local_samples = (
            samples if ranks.size == 1 else samples.subset(ranks.row_range(len(samples)))
        )
        self.callbacks = list(callbacks) if ranks.is_main else []
        self.state: TrainState | None = None
        self.baselines: Baselines | None = None
        self.should_stop = False
        self._stop = stop
        self._start = time.perf_counter()
        self._earlier_seconds = 0.0
        self._saved_step = 0
        self._skipped = 0
        # Before anything is written: a folder with a mistake in it would block the next try.
        check_folder(self.run)
        check_settings(samples, settings, ranks, self.run.decoder_class)
        self._warm_start: WarmStart | None = None
        if settings.start is not None and newest_checkpoint(folder / "checkpoint") is None:
            self._warm_start = WarmStart.open(self.run, samples)
        self._lock = lock_folder(folder, ranks)
        self._store = self._row_store()

    @property
    def seconds(self) -> float:
        """Seconds spent on the run, earlier jobs included."""
        return self._earlier_seconds + time.perf_counter() - self._start

    @property
    def steps_made(self) -> int:
        """Steps of training, more than `state.step` where the run ends with an earlier check."""
        step = 0 if self.state is None else self.state.step
        return max(step, self.validation.last_step)

    @with_torch_defaults
    def fit(self) -> bool:
        """Start or resume the run, and finish it; False when it was stopped and saved.

        Raises:
            TrainingDiverged: the loss stays non-finite; earlier checkpoints are kept.
            OSError: the folder could not be written; earlier checkpoints are kept.
        """
        try:
            self._fit()
        except _Stopped:
            self.save()
            return False
        finally:
            self._call("on_train_end")
        return True

    def save(self) -> None:
        """Write a checkpoint, unless no step was made since the last one."""
        if self.state is not None and self.state.step > self._saved_step:
            self._write(self.state, finished=False)

    def close(self) -> None:
        """Release the run folder for other processes."""
        self._store.remove()
        if self._lock is not None:
            self._lock.release()

    def _fit(self) -> None:
        run, settings = self.run, self.run.settings
        checkpoint = newest_checkpoint(run.folder / "checkpoint")
        for text in checkpoint.notes if checkpoint else ():
            self._message(text, warning=True)
        if checkpoint and checkpoint.finished and run.summary is not None:
            self._message(f"{run.folder} is already trained; nothing was changed.")
            return
        if checkpoint:
            self.validation.restore(checkpoint.facts)
        if self.ranks.is_main:
            run.write_config()
            write_reading(run.folder, self.samples.reading, notes_of(self.samples))
            RowIds(self.samples.ids, len(self.samples)).write(run.folder)
            if checkpoint:
                # A killed process may have left a third one.
                root, best = run.folder / "checkpoint", self.validation.best_step
                keep_last(root, checkpoint.folder, best=best)
        pca = fit_pca(self.local_samples, settings.code_dim, seed=settings.seed, ranks=self.ranks)
        self._store.release()
        self.baselines = Baselines(mean_image=pca.mean_image_mse, pca=pca.pca_mse)
        if checkpoint:
            state = restore_training(checkpoint, settings, **self._state_options)
            self._earlier_seconds = _seconds(checkpoint.facts)
            self._saved_step = checkpoint.step
        else:
            options = self._state_options
            if self._warm_start is not None:
                self._message(self._warm_start.sentence)
                options["decoder"] = self._warm_start.decoder(self.local_samples)
                options["initial_codes"] = self._warm_start.codes(self.local_samples)
            state = init_train_state(self.local_samples, settings, pca, **options)
        self.state = state
        self._skipped = state.skipped
        self._call("on_train_begin")
        on_host = _parts_on_host(state, self.local_samples)
        if on_host:
            self._message(
                f"The {' and the '.join(on_host)} stay on the host and are copied to "
                f"{state.device} batch by batch: in files, or more than half of its free memory."
            )
        if not (checkpoint and checkpoint.finished):
            self._train(state, self.baselines)
            self.state = state = self._best_state(state)
            self._refine(state)
        findings = finalize(
            run,
            state,
            self.samples,
            self.local_samples,
            self.baselines,
            self.validation,
            elapsed=lambda: self.seconds,
            callback=self._fit_progress,
        )
        for finding in findings:
            self._message(finding.sentence, warning=True)

    def _train(self, state: TrainState, baselines: Baselines) -> None:
        reported, saved = set[str](), time.perf_counter()
        validation = self.validation
        for record in () if validation.is_exhausted else train_loop(state, self.local_samples):
            if isinstance(record, EpochRecord):
                record = validation.check(record, state)
                self._call("on_epoch_end", record)
                self._diagnose(record, state, baselines, reported)
                if record.step == validation.best_step:
                    # At once: a later checkpoint is of no use without it.
                    self.save()
                if validation.is_exhausted:
                    break
            else:
                self._call("on_step", record)
                # A stop at the last step of an epoch must not lose the epoch's record.
                if record.step % state.steps_per_epoch == 0 and state.statistics.due:
                    continue
            self._stop_if_asked(state.step)
            if self._checkpoint_due(state.step, time.perf_counter() - saved):
                self.save()
                saved = time.perf_counter()
        # Before the refinement: an interrupt then costs only the refinement.
        self.save()

    @property
    def _state_options(self) -> dict[str, Any]:
        return {
            "n": len(self.samples),
            "ranks": self.ranks,
            "store": self._store,
            "custom": self.run.decoder_class,
        }

    def _best_state(self, state: TrainState) -> TrainState:
        """Return the state of the best check where the settings ask for it, else the last one."""
        step = self.validation.best_step
        if step is None or step == state.step:
            return state
        self._message(self.validation.describe())
        checkpoint = checkpoint_at(self.run.folder / "checkpoint", step)
        return restore_training(checkpoint, self.run.settings, **self._state_options)

    def _diagnose(
        self, record: EpochRecord, state: TrainState, baselines: Baselines, reported: set[str]
    ) -> None:
        """Report skipped steps, and each finding of the diagnosis once."""
        if state.skipped > self._skipped:
            self._message(_skip_message(state.skipped - self._skipped, record), warning=True)
            self._skipped = state.skipped
        if state.done:
            return
        for finding in diagnose(
            record,
            baselines,
            self.run.settings,
            mse=record.mse,
            n=state.n,
            last=False,
            validation=self.validation.record,
        ):
            if finding.name not in reported:
                reported.add(finding.name)
                self._message(finding.sentence, warning=True)

    def _refine(self, state: TrainState) -> None:
        settings, decoder = self.run.settings, state.final_decoder
        recompute_batchnorm_stats(decoder, state.codes, settings, n=state.n, ranks=self.ranks)
        if settings.refine_passes:
            for rows in refine_codes(
                decoder,
                state.latents,
                self.local_samples,
                training_loss(settings),
                passes=settings.refine_passes,
                precision=settings.precision,
                ranks=self.ranks,
            ):
                self._call("on_refine", rows * self.ranks.size)
                self._stop_if_asked()
        self._write(state, finished=True)

    def _fit_progress(self, name: str, share: float) -> None:
        self._call("on_fit", name, share)
        self._stop_if_asked()

    def _stop_if_asked(self, step: int | None = None) -> None:
        """Raise `_Stopped` where this process, or at certain steps any process, was asked to."""
        stop = self.should_stop or self._stop()
        if self.ranks.size > 1:
            # Only where all processes are at the same step, and seldom.
            stop = step is not None and step % _AGREE_STEPS == 0 and self.ranks.any(stop)
        if stop:
            raise _Stopped

    def _checkpoint_due(self, step: int, seconds: float) -> bool:
        # The clock of the first process counts; the others learn of it seldom.
        if self.ranks.size > 1 and step % _AGREE_STEPS:
            return False
        return bool(self.ranks.broadcast(seconds > self.run.settings.checkpoint_seconds))

    def _row_store(self) -> RowStore:
        """Return the storage of codes and row state: memory, if the budget allows."""
        settings, n = self.run.settings, len(self.local_samples)
        needed = n * sum(value.nbytes for value in code_row(settings).values())
        if settings.code_memory_gib is None or needed <= settings.code_memory_gib * 2**30:
            return IN_MEMORY
        folder = self.run.folder / f".rows-{self.ranks.rank}-of-{self.ranks.size}"
        return RowStore(folder, budget=settings.code_memory_gib * 2**30)

    def _write(self, state: TrainState, *, finished: bool) -> None:
        folder = save_checkpoint(
            self.run.folder / "checkpoint",
            state,
            finished=finished,
            facts={
                "seconds": self.seconds,
                **self.validation.facts,
            },
            best=None if finished else self.validation.best_step,
        )
        self._saved_step = state.step
        self._call("on_checkpoint", folder)

    def _message(self, text: str, *, warning: bool = False) -> None:
        self._call("on_message", Message(text=text, warning=warning))

    def _call(self, hook: str, *args: Any) -> None:
        call_hook(self.callbacks, hook, self, *args)


def _parts_on_host(state: TrainState, samples: Dataset) -> list[str]:
    """Return the names of the parts that a step has to copy to the device of the decoder."""
    if state.device.type == "cpu":
        return []
    is_there = {
        "data": fits_on_device(samples, state.device),
        "codes": state.row_device == state.device,
    }
    return [name for name, there in is_there.items() if not there]


def _seconds(facts: dict[str, Any]) -> float:
    # A figure only, which the checkpoint of another program may lack.
    seconds = facts.get("seconds")
    if isinstance(seconds, int | float) and 0 <= seconds < MAX_SECONDS:
        return float(seconds)
    return 0.0


def _skip_message(count: int, epoch: EpochRecord) -> str:
    steps = "step was" if count == 1 else "steps were"
    return (
        f"In epoch {epoch.epoch} {count} {steps} skipped, as the loss or a gradient was NaN or "
        f"infinite; the codes that caused it were re-initialized."
    )
