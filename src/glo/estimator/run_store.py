"""Where a fitted estimator lives: a run folder of its own, or one that the user named."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

from torch import Tensor

from glo.data import Dataset
from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.inversion import InitialCodes, Inversion
from glo.runs.run import Run, open_run
from glo.utils.device import find_device
from glo.workflows.encode import encode_dataset, prepare_search

__all__ = ["RunStore"]

_LOCK = "lock"


@final
class RunStore:
    """A run folder, its decoder on a device, and searches with it.

    A temporary folder goes when its home does; pickled, it travels as the bytes of its files.

    Args:
        folder: of the run; None: a temporary one.
        device: name of the device that decodes.
        decoder: the class of a decoder that is none of this package.
    """

    def __init__(
        self, folder: Path | None, *, device: str, decoder: DecoderLike | None = None
    ) -> None:
        self.device = device
        self.decoder = decoder
        self.temporary = folder is None
        self.folder = self._make() if folder is None else folder

    @cached_property
    def run(self) -> Run:
        """The run, its decoder on the device."""
        run = open_run(self.folder, decoder=self.decoder)
        run.decoder.to(find_device(self.device))
        return run

    @cached_property
    def starts(self) -> InitialCodes:
        """Training codes and their examples, where searches begin."""
        return prepare_search(self.run, device=self.device)

    def search(self, samples: Dataset) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Inversion]]:
        """Find codes of examples, some hundreds at a time.

        Yields:
            their rows, what was searched for, (b, *shape), what of it is known, and what was found.
        """
        for batch in encode_dataset(self.run, samples, self.starts):
            yield batch.rows, batch.target, batch.mask, batch.inversion

    def copy_to(self, folder: Path) -> None:
        """Copy the run to a folder that does not exist yet or is empty.

        Raises:
            UserError: there is something in it.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not empty; give a new folder.")
        ignore = shutil.ignore_patterns(_LOCK)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, ignore=ignore)

    def __getstate__(self) -> dict[str, Any]:
        files = {}
        if self.temporary:
            paths = [p for p in self.folder.rglob("*") if p.is_file() and p.name != _LOCK]
            files = {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in sorted(paths)}
        place = None if self.temporary else self.folder
        about = {"device": self.device, "decoder": self.decoder}
        return {"folder": place, "files": files, "about": about}

    def __setstate__(self, state: dict[str, Any]) -> None:
        RunStore.__init__(self, state["folder"], **state["about"])
        for name, content in state["files"].items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def refresh(self) -> None:
        """Read the run again: its rows were changed."""
        for name in ("run", "starts"):
            self.__dict__.pop(name, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Rows come and go in a folder; what is temporary is changed for one owner alone.
        if not self.temporary:
            return self
        twin = type(self)(None, device=self.device, decoder=self.decoder)
        self.copy_to(twin.folder)
        return twin

    def _make(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="glo-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder
