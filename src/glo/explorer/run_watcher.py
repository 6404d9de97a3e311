"""Current state of a run folder, reopened after changes."""

import threading
import time
from pathlib import Path
from typing import Literal, final

from safetensors import SafetensorError

from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.explorer.latent_space import LatentSpace
from glo.explorer.progress import file_version
from glo.explorer.protocol import NotFound
from glo.explorer.scheduler import Scheduler
from glo.explorer.training_examples import TrainingExamples
from glo.runs.run import open_run

State = Literal["training", "finished", "empty"]

# Seconds between two looks at the folder.
_POLL_SECONDS = 1.0


@final
class RunWatcher:
    """Newest state of a run; UserError for no run folder, or a missing class of its decoder."""

    def __init__(
        self, folder: Path, scheduler: Scheduler, decoder: DecoderLike | None = None
    ) -> None:
        self.run = open_run(folder, decoder=decoder)
        # Raises for a missing class before the page is opened.
        self._decoder = self.run.decoder_class
        self._examples = TrainingExamples(self.run)
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._checked = -_POLL_SECONDS
        self._version: tuple[object, ...] = ()
        self._space: LatentSpace | None = None

    @property
    def state(self) -> State:
        """State of the run; "empty" before its first checkpoint."""
        space = self._newest()
        if space is None:
            return "empty"
        return "finished" if space.finished else "training"

    @property
    def space(self) -> LatentSpace:
        """Code space of the newest checkpoint; raises NotFound before the first."""
        space = self._newest()
        if space is None:
            raise NotFound("Training has begun, and there are no codes yet; wait for the first.")
        return space

    def _newest(self) -> LatentSpace | None:
        with self._lock:
            if time.monotonic() - self._checked >= _POLL_SECONDS:
                version = _version(self.run.folder)
                if version != self._version:
                    self._reopen(version)
                self._checked = time.monotonic()
            return self._space

    def _reopen(self, version: tuple[object, ...]) -> None:
        try:
            run = open_run(self.run.folder, decoder=self._decoder)
            if any((run.folder / "checkpoint").glob("[!.]*")):
                if run.data != self.run.data:
                    self._examples = TrainingExamples(run)
                self._space = LatentSpace(run, self._examples, self._scheduler)
            self.run, self._version = run, version
        except (UserError, OSError, SafetensorError):
            # Another process is writing to the run; its last state serves until that is done.
            if self._space is None:
                raise


def _version(folder: Path) -> tuple[object, ...]:
    """Return names and versions of the files that the page depends on."""
    watched = [folder / name for name in ("config.toml", "summary.json", "errors.safetensors")]
    watched += sorted((folder / "checkpoint").glob("[!.]*/manifest.json"))
    watched += sorted((folder / "prior").glob("*.safetensors"))
    return tuple((path, file_version(path)) for path in watched)
