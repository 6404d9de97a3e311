"""Results of the rows of a dataset in parts: one file for each run of consecutive rows.

Several processes write the files of one folder, and a repeated command computes those that are
missing. The borders of the parts do not depend on the number of processes, so neither do the
results.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import final

import torch
from safetensors import safe_open
from torch import Tensor

from glo._version import __version__
from glo.data import Dataset
from glo.errors import UserError
from glo.runs.run import Run
from glo.utils.distributed import ProcessGroup
from glo.utils.files import atomic_write
from glo.utils.safetensors_io import read_header, write_tensors

__all__ = ["Parts", "digest", "run_digest"]

_SUFFIX = ".safetensors"


@final
class Parts:
    """Folder of the results of a dataset's rows, `size` rows in each file.

    Args:
        folder: path of the folder, on a file system that all processes share; created when the
            first part is written.
        dataset: dataset of n rows.
        size: number of rows of a part.
        made_by: texts that determine the results beside the rows, by what a message calls them,
            such as {"run": digest}.
    """

    def __init__(
        self, folder: Path, dataset: Dataset, size: int, made_by: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self._dataset, self._size = dataset, size
        self._made_by = {"version of glo": __version__, **made_by}
        self._count = -(-len(dataset) // size)

    def complete(
        self,
        ranks: ProcessGroup,
        compute: Callable[[Tensor], Mapping[str, Tensor]],
        plan: Callable[[int], None] = lambda rows: None,
    ) -> None:
        """Compute and write all missing parts; every process takes some of them.

        Args:
            ranks: the processes.
            compute: function of row numbers, int64 (b,), that returns the columns of these rows,
                (b, ...).
            plan: function that is called first with the number of rows of this process.

        Raises:
            UserError: the folder holds parts of something else; nothing was changed.
        """
        missing = list[int]()
        with ranks.sharing_errors():
            missing = self._missing() if ranks.is_main else []
        own = ranks.broadcast(missing)[ranks.rank :: ranks.size]
        plan(sum(len(self._rows(part)) for part in own))
        for part in own:
            self._write(part, compute(self._rows(part)))
        # All parts are written before the first process reads them.
        ranks.raise_on_all(None)

    @property
    def n_finished(self) -> int:
        """Number of rows of finished parts in the folder."""
        parts = self._numbers()
        return sum(len(self._rows(part)) for part in parts if part < self._count)

    def chunks(self) -> Iterator[dict[str, Tensor]]:
        """Yield the columns of each part, in the order of the rows, by name.

        Raises:
            UserError: a part is missing.
        """
        for part in range(self._count):
            path = self._path(part)
            if not path.is_file():
                raise UserError(
                    f"{path} is missing; all processes must write to one file system, and no other "
                    f"command to {self.folder}; run the same command again."
                )
            # The file itself has the order of the alignment.
            names = json.loads(read_header(path).about["columns"])
            with safe_open(path, framework="pt") as file:
                yield {name: file.get_tensor(name) for name in names}

    def table(self) -> dict[str, Tensor]:
        """Return the columns of all rows, (n, ...), by name."""
        chunks = list(self.chunks())
        return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:06d}{_SUFFIX}"

    def _rows(self, part: int) -> Tensor:
        first = part * self._size
        return torch.arange(first, min(first + self._size, len(self._dataset)))

    def _numbers(self) -> list[int]:
        stems = (path.stem for path in self.folder.glob(f"[0-9]*{_SUFFIX}"))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def _missing(self) -> list[int]:
        finished = {part for part in self._numbers() if self._fits(part)}
        return [part for part in range(self._count) if part not in finished]

    def _fits(self, part: int) -> bool:
        """Return whether a part is whole; raise UserError if it holds results of something else."""
        try:
            found = read_header(self._path(part)).about
        except UserError:
            # Cut off by a full disk or a failed copy.
            return False
        expected = self._about(part)
        other = [name for name in expected if found.get(name) != expected[name]]
        if other:
            raise UserError(
                f"{self.folder} has unfinished results of another {' and '.join(other)}; repeat "
                f"the command that they are from, give another --out, or delete that folder."
            )
        return True

    def _about(self, part: int) -> dict[str, str]:
        """Return the texts that identify the results of a part."""
        about = dict(self._made_by)
        if part < self._count:
            rows = self._rows(part)
            about["input"] = f"{int(rows[0])} {self._dataset.subset(rows).fingerprint}"
        else:
            about["input"] = "fewer rows"
        return about

    def _write(self, part: int, columns: Mapping[str, Tensor]) -> None:
        about = {**self._about(part), "columns": json.dumps([*columns])}
        with atomic_write(self._path(part)) as temporary:
            write_tensors(temporary, columns, about)


def run_digest(run: Run) -> str:
    """Hash the settings and the checksums of a finished run: 16 hex characters."""
    settings = json.dumps(run.settings.to_dict(), sort_keys=True).encode()
    return digest(settings + (run.checkpoint.folder / "manifest.json").read_bytes())


def digest(content: bytes) -> str:
    """Hash bytes: 16 hex characters."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()
