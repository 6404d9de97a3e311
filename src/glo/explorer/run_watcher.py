"""The run folder as it is now: opened again whenever something in it has changed."""

import threading
import time
from pathlib import Path
from typing import Literal, final

from safetensors import SafetensorError

from glo.decoders import Decoder
from glo.errors import UserError
from glo.explorer.latent_space import LatentSpace
from glo.explorer.scheduler import Scheduler
from glo.explorer.training_examples import NotThere, TrainingExamples
from glo.runs.run import Run, open_run

__all__ = ["RunWatcher", "State"]

State = Literal["training", "finished", "empty"]

# The folder is looked at no more often than this, in seconds.
_PAUSE = 1.0


@final
class RunWatcher:
    """The newest state of a run.

    Args:
        folder: of the run; it has a config.toml.
        turns: whose turn it is to compute.
        decoder: the class of its decoder, if that is none of this package.

    Raises:
        UserError: it is not a run folder, or the class of its decoder is missing.
    """

    def __init__(
        self, folder: Path, turns: Scheduler, decoder: type[Decoder] | None = None
    ) -> None:
        self.run = open_run(folder, decoder=decoder)
        # A class that was not named is said before the page is opened.
        self._decoder = self.run.decoder_class
        self.originals = TrainingExamples(self.run)
        self._turns = turns
        self._lock = threading.Lock()
        self._looked = -_PAUSE
        self._stamp: tuple[object, ...] = ()
        self._space: LatentSpace | None = None

    @property
    def state(self) -> State:
        """How far the run is; empty before its first checkpoint."""
        space = self._newest()
        if space is None:
            return "empty"
        return "finished" if space.finished else "training"

    @property
    def space(self) -> LatentSpace:
        """The codes of the newest checkpoint.

        Raises:
            NotThere: there is none yet.
        """
        space = self._newest()
        if space is None:
            raise NotThere("Training has begun, and there are no codes yet; wait for the first.")
        return space

    def _newest(self) -> LatentSpace | None:
        with self._lock:
            if time.monotonic() - self._looked >= _PAUSE:
                stamp = _stamp(self.run.folder)
                if stamp != self._stamp:
                    self._reopen(stamp)
                self._looked = time.monotonic()
            return self._space

    def _reopen(self, stamp: tuple[object, ...]) -> None:
        try:
            run = open_run(self.run.folder, decoder=self._decoder)
            if any((run.folder / "checkpoint").glob("[!.]*")):
                self._space = LatentSpace(run, self._originals(run), self._turns)
            self.run, self._stamp = run, stamp
        except (UserError, OSError, SafetensorError):
            # Somebody is writing to it; what was opened before serves until they are done.
            if self._space is None:
                raise

    def _originals(self, run: Run) -> TrainingExamples:
        if run.data != self.run.data:
            self.originals = TrainingExamples(run)
        return self.originals


def _stamp(folder: Path) -> tuple[object, ...]:
    """Return what changes when a run does."""
    watched = [folder / name for name in ("config.toml", "summary.json", "errors.safetensors")]
    watched += sorted((folder / "checkpoint").glob("[!.]*/manifest.json"))
    watched += sorted((folder / "prior").glob("*.safetensors"))
    return tuple((path.name, path.parent.name, _changed(path)) for path in watched)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
