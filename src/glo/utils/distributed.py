"""Process group of a run that `torchrun` starts: row ownership and rare collective operations.

Rank r of R owns the rows r, r + R, r + 2R, ... of the data, the codes and their optimizer state. A
step all-reduces the decoder's gradients, and shares the work of its optimizer where that pays;
per-row state is never communicated. The operations below but `broadcast_tensors` run at the start,
at the end of an epoch and at a checkpoint.
"""

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self, final

import torch
import torch.distributed as dist
from torch import Tensor

from glo.errors import UserError

__all__ = ["LOST", "SINGLE_PROCESS", "ProcessGroup"]

LOST = re.compile(r"gloo|NCCL|[Cc]onnection (closed|reset)|[Tt]imed? ?out|Socket")
"""Pattern of messages of errors that another process has gone."""

# A reference to the joined group, until the process ends. Dropping the last reference destroys it
# and waits for its threads while holding the interpreter's lock, which a thread needs to free its
# tensors: a deadlock in one of four runs of two processes with DistributedDataParallel.
_JOINED: list[Any] = []

_PIECE_ROWS = 2**20
# The main process may write for long while the others wait.
_TIMEOUT = timedelta(hours=2)


@final
class ProcessGroup:
    """Processes of one run.

    Args:
        rank: number of this process, from 0.
        size: R, number of processes; above 1 `torch.distributed` must be initialized.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        assert 0 <= rank < size, "a rank is below the size"
        self.rank = rank
        self.size = size

    @classmethod
    def join(cls) -> Self:
        """Join the processes that `torchrun` started; without it, return a group of one."""
        size = os.environ.get("WORLD_SIZE", "1")
        if size == "1":
            return cls()
        try:
            if not dist.is_initialized():
                # Gloo communicates codes and counts, NCCL gradients.
                backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
                dist.init_process_group(backend, timeout=_TIMEOUT, **_store_after_restart())
                _JOINED.append(dist.group.WORLD)
            return cls(dist.get_rank(), dist.get_world_size())
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"WORLD_SIZE is {size}, but the processes of this run did not connect ({error}); "
                f"start them with torchrun --nproc-per-node R -m glo ..."
            ) from None

    def shutdown(self) -> None:
        """Leave the group at the end of the run."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this process prints, and writes everything but rows."""
        return self.rank == 0

    def row_range(self, n: int) -> Tensor:
        """Return the numbers of this process's rows of `n`, int64, rising."""
        return torch.arange(self.rank, n, self.size)

    def row_count(self, n: int) -> int:
        """Return the number of this process's rows of `n`."""
        return len(range(self.rank, n, self.size))

    def is_local(self, rows: Tensor) -> Tensor:
        """Return whether each of some rows is this process's, bool."""
        return rows % self.size == self.rank

    def local_rows(self, rows: Tensor) -> Tensor:
        """Return the indices of this process's rows in its arrays."""
        return rows if self.size == 1 else rows // self.size

    def global_rows(self, indices: Tensor) -> Tensor:
        """Return the numbers of rows from their indices in this process's arrays."""
        return indices * self.size + self.rank

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum of a CPU tensor over all processes."""
        if self.size == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def all_gather_rows(self, values: Tensor, rows: Tensor) -> Tensor:
        """Return values, (k, ...), of rows, int64 (k,), of any process, on all processes."""
        if self.size == 1:
            return values[rows]
        local = self.is_local(rows)
        result = values.new_zeros(len(rows), *values.shape[1:])
        result[local] = values[self.local_rows(rows[local])]
        return self.all_reduce(result)

    def gather_to_main(self, values: Tensor, n: int) -> Tensor:
        """Return values of all rows, (n, ...), on the main process, (0, ...) on the others."""
        if self.size == 1:
            return values
        result = values.new_zeros(n if self.is_main else 0, *values.shape[1:])
        for first in range(0, n, _PIECE_ROWS):
            rows = torch.arange(first, min(n, first + _PIECE_ROWS))
            piece = self.all_gather_rows(values, rows)
            if self.is_main:
                result[rows] = piece
        return result

    def broadcast_tensors(self, tensors: list[Tensor], owners: list[int]) -> None:
        """Overwrite each of some tensors, contiguous, by that of the process that owns it."""
        pairs = zip(tensors, owners, strict=True)
        pending = [dist.broadcast(each, src=owner, async_op=True) for each, owner in pairs]
        for work in pending:
            assert work is not None, "every process takes part"
            work.wait()

    def broadcast(self, value: Any = None) -> Any:
        """Return the main process's value, anything JSON-able, on all processes."""
        return self.all_gather_object(value)[0]

    def all_gather_object(self, value: Any) -> list[Any]:
        """Return the values of all processes, anything JSON-able, by rank.

        As JSON, since torch's function of this name uses pickle.
        """
        if self.size == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = self._all_gather(torch.tensor([len(text)]))
        padded = torch.zeros(int(torch.stack(lengths).max()), dtype=torch.uint8)
        padded[: len(text)] = text
        pairs = zip(self._all_gather(padded), lengths, strict=True)
        return [json.loads(bytes(each[: int(n)].tolist())) for each, n in pairs]

    def any(self, flag: bool) -> bool:
        """Return whether the flag of any process is set."""
        return bool(self.all_reduce(torch.tensor([int(flag)]))) if self.size > 1 else flag

    def raise_on_all(self, error: Exception | None) -> None:
        """Raise a UserError or OSError of any process on all processes."""
        shared = isinstance(error, UserError | OSError)
        if error is not None and (self.size == 1 or not shared):
            raise error
        pair = None
        if error is not None:
            pair = getattr(error, "errno", 0) or errno.EIO * isinstance(error, OSError), str(error)
        for rank, other in enumerate(self.all_gather_object(pair)):
            if error is not None:
                raise error
            if other is not None:
                number, text = other
                raise OSError(number, f"process {rank}: {text}") if number else UserError(text)

    @contextmanager
    def sharing_errors(self) -> Iterator[None]:
        """Raise a UserError or OSError of any process in the block on all processes after it."""
        failure: UserError | OSError | None = None
        try:
            yield
        except (UserError, OSError) as error:
            failure = error
        self.raise_on_all(failure)

    def _all_gather(self, value: Tensor) -> list[Tensor]:
        parts = [torch.zeros_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value)
        return parts


def _store_after_restart() -> dict[str, Any]:
    """Return keywords of `init_process_group` after torchrun restarted the processes, else none.

    Its store keeps the addresses of the processes before the restart, which gloo would connect to
    again. All processes surely have the same number of restarts on a single machine only.
    """
    names = ("TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT", "LOCAL_WORLD_SIZE")
    agent, restarts, local_size = (os.environ.get(name, "") for name in names)
    if agent != "True" or restarts in ("", "0") or local_size != os.environ["WORLD_SIZE"]:
        return {}
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # Both are documented there, but missing from its type stubs.
    module: Any = dist
    store = module.TCPStore(host, port, int(local_size), is_master=False, timeout=_TIMEOUT)
    prefixed = module.PrefixStore(f"restart-{restarts}", store)
    return {"store": prefixed, "rank": int(os.environ["RANK"]), "world_size": int(local_size)}


SINGLE_PROCESS = ProcessGroup()
