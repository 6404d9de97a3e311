"""Run folder of a fitted estimator, temporary unless the user named one."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import torch
from torch import Tensor

from glo.data import Dataset
from glo.decoders import DecoderLike
from glo.errors import UserError
from glo.inversion import InitialCodes, Inversion
from glo.runs.run import Run, open_run
from glo.utils.device import find_device
from glo.utils.torch_defaults import with_torch_defaults
from glo.workflows.anomaly import AnomalyModel, fit_anomaly_model
from glo.workflows.encode import SearchKind, encode_dataset, encoder_codes, prepare_search

__all__ = ["RunStore"]

_LOCK = "lock"


@final
class RunStore:
    """Run folder, its decoder on a device, and searches with it.

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
        run.decoder.to(find_device(self.device))
        return run

    @cached_property
    def starts(self) -> InitialCodes:
        """Training codes and their examples, the initial codes of searches."""
        return prepare_search(self.run, device=self.device)

    @cached_property
    def anomaly_model(self) -> AnomalyModel:
        """Anomaly scores of the run."""
        return fit_anomaly_model(self.run)

    def search(self, samples: Dataset) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Inversion]]:
        """Search the codes of examples, and yield rows, targets, masks and results of batches."""
        for batch in encode_dataset(self.run, samples, self.starts):
            yield batch.rows, batch.target, batch.mask, batch.inversion

    def codes(self, samples: Dataset, search: SearchKind) -> Tensor:
        """Find the codes of examples, float32 (n, D), by one kind of search."""
        if search == "encoder":
            return encoder_codes(self.run, samples)
        batches = encode_dataset(self.run, samples, self.starts, search=search)
        return torch.cat([batch.inversion.codes for batch in batches])

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
        for name in ("run", "starts", "anomaly_model"):
            self.__dict__.pop(name, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Copies share the folder that the user named.
        if not self.temporary:
            return self
        result = type(self)(None, device=self.device, decoder=self.decoder)
        self.copy_to(result.folder)
        return result
