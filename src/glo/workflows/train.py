"""From data and settings to a finished run folder, step by step and resumable.

`TrainingRun.events` is a generator: it starts or goes on with the run in its folder and yields what
happens. Who drives it prints, draws progress bars and stops it; after a stop `save` writes a
checkpoint and the same command goes on from there.

Several processes drive a session each, over the same folder, and go through the same events; the
first one alone writes what is no row, and fits the priors when the others are done.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypedDict, final

from glo.config.settings import Settings
from glo.data import Dataset
from glo.decoders import DecoderLike, decoder_name
from glo.imaging.previews import draw_progress
from glo.latents.init import fit_pca
from glo.runs.checkpoint import keep_last, newest_checkpoint, restore_training, save_checkpoint
from glo.runs.metrics_log import MetricsLog
from glo.runs.run import DataRecord, Run
from glo.training.diagnosis import Baselines, diagnose, explained_variance
from glo.training.events import Begin, Event, Note, Polishing
from glo.training.factory import code_row, training_loss
from glo.training.loop import train
from glo.training.refine import recompute_batchnorm_stats, refine_codes
from glo.training.state import TrainState, init_train_state
from glo.training.statistics import EpochRecord, StepRecord, gradient_norm
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_store import IN_MEMORY, RowStore
from glo.workflows.finalize import finish
from glo.workflows.preflight import check_folder, check_recipe, hold

__all__ = ["TrainingRun"]

_LOG_STEPS = 50
# Several processes ask each other every so many steps whether to save or to stop.
_ASK_STEPS = 10
_MOST_SECONDS = 1e10


class _Here(TypedDict):
    n: int
    ranks: ProcessGroup
    store: RowStore
    custom: DecoderLike | None


@final
class TrainingRun:
    """One sitting of a run.

    Args:
        folder: the run folder, new or begun earlier with the same data and settings.
        samples: the data; the columns of vectors are standardised.
        settings: the recipe.
        source: what the user named as the data.
        preset: name of the preset.
        ranks: the processes that train the run together, of which this is one.
        decoder: the class of a decoder that is none of this package.

    Raises:
        UserError: the folder belongs to other data or settings, or is in use.
        OSError: the folder cannot be made.
    """

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
    ) -> None:
        facts = DataRecord(
            source=source,
            name=samples.name,
            n=len(samples),
            shape=tuple(samples.shape),
            fingerprint=samples.fingerprint,
        )
        if settings.decoder is None and decoder is not None:
            settings = replace(settings, decoder=decoder_name(decoder))
        if settings.decoder is None and not samples.is_images:
            # How long a run is depends on it.
            settings = replace(settings, decoder="mlp")
        self.run = Run(folder, settings=settings, data=facts, preset=preset, decoder=decoder)
        own = self.run.decoder_class
        # Errors are in standard deviations of each column, and so is the run.
        self.samples = samples = samples.standardized()
        self.ranks = ranks
        self._own = samples if ranks.size == 1 else samples.subset(ranks.row_range(len(samples)))
        self._training: TrainState | None = None
        self._begun = time.perf_counter()
        self._earlier_seconds = 0.0
        self._saved_step = 0
        # Before anything is written: a folder begun with a mistake would be in the way of the next.
        check_folder(self.run)
        check_recipe(samples, settings, ranks, own)
        self._lock = hold(folder, ranks)
        self._store = self._rows_store()

    @property
    def seconds(self) -> float:
        """Seconds spent on the run, all sittings together."""
        return self._earlier_seconds + time.perf_counter() - self._begun

    def stops(self, wanted: bool, event: Event) -> bool:
        """Whether all processes stop at this event, as one of them was asked to.

        Several processes ask each other seldom, and only where all of them are at the same event;
        one stops at once.

        Args:
            wanted: whether this one was asked to.
            event: where it is.
        """
        if self.ranks.size == 1:
            return wanted
        asks = isinstance(event, StepRecord) and event.step % _ASK_STEPS == 0
        return asks and self.ranks.any(wanted)

    def save(self) -> None:
        """Write a checkpoint, unless nothing happened since the last one.

        Raises:
            OSError: it could not be written; the checkpoints before are kept.
        """
        training = self._training
        if training is not None and training.step > self._saved_step:
            self._write(training, finished=False)

    def close(self) -> None:
        """Let other processes write to the run folder."""
        self._store.remove()
        if self._lock is not None:
            self._lock.release()

    def events(self) -> Iterator[Event]:
        """Start or go on with the run, and yield what happens until it is finished.

        Raises:
            Diverged: the loss is not finite any more; the checkpoints before are kept.
            OSError: the folder could not be written; the checkpoints before are kept.
        """
        run, samples, settings = self.run, self.samples, self.run.settings
        checkpoint = newest_checkpoint(run.folder / "checkpoint")
        for sentence in checkpoint.notes if checkpoint else ():
            yield Note(sentence=sentence, warning=True)
        if checkpoint and checkpoint.finished and run.summary is not None:
            yield Note(sentence=f"{run.folder} is already trained; nothing was changed.")
            return
        if self.ranks.is_main:
            run.write_config()
            if checkpoint:
                # Killed before the third last one was removed.
                keep_last(run.folder / "checkpoint", checkpoint.folder)
        pca = fit_pca(self._own, settings.code_dim, seed=settings.seed, ranks=self.ranks)
        self._store.release()
        baselines = Baselines(mean_image=pca.mean_image_mse, pca=pca.pca_mse)
        here: _Here = {
            "n": len(samples),
            "ranks": self.ranks,
            "store": self._store,
            "custom": run.decoder_class,
        }
        if checkpoint:
            training = restore_training(checkpoint, settings, **here)
            self._earlier_seconds = _seconds(checkpoint.facts)
            self._saved_step = checkpoint.step
        else:
            training = init_train_state(self._own, settings, pca, **here)
        self._training = training
        yield Begin(
            n=training.n,
            epochs=settings.epochs_for(training.n),
            step=training.step,
            total_steps=training.total_steps,
            parameters=sum(p.numel() for p in training.decoder.parameters()),
            baselines=baselines,
        )
        yield from self._train(training, baselines)
        if not (checkpoint and checkpoint.finished):
            yield from self._polish(training)
        yield from finish(
            run, training, samples, self._own, baselines, elapsed=lambda: self.seconds
        )

    def _rows_store(self) -> RowStore:
        """Return where this process's codes and moments go: in memory, if the budget allows."""
        settings, n = self.run.settings, len(self._own)
        needed = n * sum(value.nbytes for value in code_row(settings).values())
        if settings.code_memory_gib is None or needed <= settings.code_memory_gib * 2**30:
            return IN_MEMORY
        folder = self.run.folder / f".rows-{self.ranks.rank}-of-{self.ranks.size}"
        return RowStore(folder, budget=settings.code_memory_gib * 2**30)

    def _train(self, training: TrainState, baselines: Baselines) -> Iterator[Event]:
        settings, said, saved = self.run.settings, set[str](), time.perf_counter()
        skipped = training.skipped
        path, quiet = self.run.folder / "metrics.jsonl", not self.ranks.is_main
        journal = MetricsLog(path, training.step, quiet=quiet)
        records = train(training, self._own)
        for step in records:
            told = [step]
            if step.step % training.steps_per_epoch == 0:
                # Who stops at an epoch's last step must not lose the epoch's record.
                told.append(next(records))
            # Written before it is told: who stops at a record has it in the journal.
            for record in told:
                self._log(record, journal, training, baselines)
            yield from told
            epoch = told[-1]
            if isinstance(epoch, EpochRecord) and training.skipped > skipped:
                yield Note(sentence=_left_out(training.skipped - skipped, epoch), warning=True)
                skipped = training.skipped
            if isinstance(epoch, EpochRecord) and not training.done:
                for finding in diagnose(
                    epoch, baselines, settings, mse=epoch.mse, n=training.n, last=False
                ):
                    # Each thing once; at the end everything is said again.
                    if finding.name not in said:
                        said.add(finding.name)
                        yield Note(sentence=finding.sentence, warning=True)
            if self._due(training.step, time.perf_counter() - saved):
                self.save()
                saved = time.perf_counter()
        # Kept before polishing: an interrupt of that costs only the polishing.
        self.save()

    def _due(self, step: int, seconds: float) -> bool:
        # The first process's clock counts, which the others learn seldom.
        if self.ranks.size > 1 and step % _ASK_STEPS:
            return False
        return bool(self.ranks.broadcast(seconds > self.run.settings.checkpoint_seconds))

    def _log(
        self,
        record: StepRecord | EpochRecord,
        journal: MetricsLog,
        training: TrainState,
        baselines: Baselines,
    ) -> None:
        if isinstance(record, EpochRecord):
            explained = explained_variance(record.mse, baselines)
            facts = {"explained_variance": explained, "elapsed": self.seconds}
            journal.write("epoch", asdict(record) | facts)
            self._draw_epoch(training, record.epoch)
        elif record.step % _LOG_STEPS == 0:
            length = gradient_norm(training.decoder)
            facts = {"decoder_gradient": length, "elapsed": self.seconds}
            journal.write("step", asdict(record) | facts)

    def _polish(self, training: TrainState) -> Iterator[Event]:
        settings = self.run.settings
        decoder, codes = training.final_decoder, training.codes
        recompute_batchnorm_stats(decoder, codes, settings, n=training.n, ranks=self.ranks)
        if settings.refine_passes:
            for rows in refine_codes(
                decoder,
                training.latents,
                training.code_optimizer,
                self._own,
                training_loss(settings),
                passes=settings.refine_passes,
                lr=settings.refine_lr,
                settings=settings,
            ):
                yield Polishing(rows=rows * self.ranks.size, n=training.n)
        self._write(training, finished=True)

    def _draw_epoch(self, training: TrainState, epoch: int) -> None:
        # A run of a thousand short epochs would make a thousand pictures: the first ten, then
        # every tenth, then every hundredth.
        every = 10 ** (len(str(epoch)) - 1)
        # Of several processes the first one shows its own rows.
        if self.samples.is_images and epoch % every == 0 and self.ranks.is_main:
            draw_progress(
                self.run.folder / "samples",
                f"epoch-{epoch:04d}",
                training.decoder,
                training.codes,
                self._own,
                self.run.settings,
            )

    def _write(self, training: TrainState, *, finished: bool) -> None:
        facts: dict[str, Any] = {"seconds": self.seconds}
        root = self.run.folder / "checkpoint"
        save_checkpoint(root, training, finished=finished, facts=facts)
        self._saved_step = training.step


def _seconds(facts: dict[str, Any]) -> float:
    # Nothing but a figure hangs on it, and a run of a stranger may lack it.
    seconds = facts.get("seconds")
    if isinstance(seconds, int | float) and 0 <= seconds < _MOST_SECONDS:
        return float(seconds)
    return 0.0


def _left_out(count: int, epoch: EpochRecord) -> str:
    steps = "step was" if count == 1 else "steps were"
    return (
        f"In epoch {epoch.epoch} {count} {steps} left out, as the loss or a gradient was NaN or "
        f"infinite; codes that brought it began anew."
    )
