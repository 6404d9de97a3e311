"""Run folder of a fitted estimator, temporary unless the user named one."""

import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.utils.device import find_device
from glo.utils.torch_defaults import with_torch_defaults
from glo.workflows.run import Run, open_run

__all__ = ["RunStore"]

_LOCK = "lock"


@final
class RunStore:
    """Run folder, and the run with its decoder on a device.

    A temporary folder is deleted with this object, and serialized as the bytes of its files.

    Args:
        folder: path of the run folder; None: a temporary one.
        device: name of the decoder's device.
        decoder: class of a custom decoder.
    """

    def __init__(
        self, folder: Path | None, *, device: str, decoder: DecoderLike | None = None
    ) -> None:
        self.device = device
        self.decoder = decoder
        self.temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="glo-")) if folder is None else folder
        if self.temporary:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @cached_property
    @with_torch_defaults
    def run(self) -> Run:
        """Run with its decoder on the device."""
        run = open_run(self.folder, decoder=self.decoder)
        run.device = self.device
        run.decoder.to(find_device(self.device))
        return run

    def copy_to(self, folder: Path) -> None:
        """Copy the run to a folder that does not exist yet or is empty."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not empty; give a new folder.")
        ignore = shutil.ignore_patterns(_LOCK)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, ignore=ignore)

    def __getstate__(self) -> dict[str, Any]:
        files = {}
        if self.temporary:
            paths = [p for p in self.folder.rglob("*") if p.is_file() and p.name != _LOCK]
            files = {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in sorted(paths)}
        folder = None if self.temporary else self.folder
        options = {"device": self.device, "decoder": self.decoder}
        return {"folder": folder, "files": files, "options": options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        RunStore.__init__(self, state["folder"], **state["options"])
        for name, content in state["files"].items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def refresh(self) -> None:
        """Drop the cached run after a change of its rows."""
        self.__dict__.pop("run", None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Copies share the folder that the user named.
        if not self.temporary:
            return self
        result = type(self)(None, device=self.device, decoder=self.decoder)
        self.copy_to(result.folder)
        return result
