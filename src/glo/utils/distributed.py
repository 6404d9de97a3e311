"""The processes that train one run together, as `torchrun` starts them.

Rank r of R owns the rows r, r + R, r + 2R, ... of the data, of the codes and of what is remembered
of them. Nothing of a row crosses the wire in a step: the decoder's gradients do, and only they.
What is said here is said seldom, at the start, at the end of an epoch and when a run is saved.
"""

import errno
import json
import os
import re
from datetime import timedelta
from typing import Any, Self, final

import torch
import torch.distributed as dist
from torch import Tensor

from glo.errors import UserError

__all__ = ["LOST", "SINGLE_PROCESS", "ProcessGroup"]

LOST = re.compile(r"gloo|NCCL|[Cc]onnection (closed|reset)|[Tt]imed? ?out|Socket")
"""What an error says when another process is gone."""

# The group that was joined, until the process ends. Whoever drops the last reference destroys it
# and waits for its threads while holding the interpreter's lock; a thread that has just finished
# its work needs that lock to drop the tensors, and both would wait for ever. It was so in one of
# four runs of two processes, when DistributedDataParallel held the last reference.
_JOINED: list[Any] = []

# Rows that are told at a time.
_PIECE = 2**20

# Rank 0 may draw or write for long while the others wait.
_PATIENCE = timedelta(hours=2)


@final
class ProcessGroup:
    """Which of the processes of a run this one is, and the few things they tell each other.

    Args:
        rank: number of this process, from 0.
        size: R, how many there are; above 1 `torch.distributed` must be set up.

    Example:
        >>> ProcessGroup(1, 3).rows(8)
        tensor([1, 4, 7])
        >>> SINGLE_PROCESS.size
        1
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        assert 0 <= rank < size, "a rank is one of those there are"
        self.rank = rank
        self.size = size

    @classmethod
    def join(cls) -> Self:
        """Meet the other processes that `torchrun` started, or be alone without it.

        Raises:
            UserError: the environment that torchrun makes is not whole, or nobody answers.
        """
        size = os.environ.get("WORLD_SIZE", "1")
        if size == "1":
            return cls()
        try:
            if not dist.is_initialized():
                # Codes and counts are said by the CPU; gradients go from device to device.
                backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
                dist.init_process_group(backend, timeout=_PATIENCE, **_restarted())
                _JOINED.append(dist.group.WORLD)
            return cls(dist.get_rank(), dist.get_world_size())
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"WORLD_SIZE is {size}, but the processes of this run did not meet ({error}); "
                f"start them with torchrun --nproc-per-node R -m glo train ..."
            ) from None

    def leave(self) -> None:
        """Say goodbye to the others, at the end."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def main(self) -> bool:
        """Whether this process speaks for all: it writes what is no row, and prints."""
        return self.rank == 0

    def rows(self, n: int) -> Tensor:
        """Return the numbers of the rows that this process owns, of `n`; int64, rising."""
        return torch.arange(self.rank, n, self.size)

    def count(self, n: int) -> int:
        """Return how many of `n` rows this process owns."""
        return len(range(self.rank, n, self.size))

    def mine(self, rows: Tensor) -> Tensor:
        """Return which of some rows this process owns, bool."""
        return rows % self.size == self.rank

    def local(self, rows: Tensor) -> Tensor:
        """Return the places among its own rows of rows that this process owns.

        Example:
            >>> ProcessGroup(1, 3).local(torch.tensor([4, 1, 7]))
            tensor([1, 0, 2])
        """
        return rows if self.size == 1 else rows // self.size

    def numbers(self, places: Tensor) -> Tensor:
        """Return the numbers of rows from their places among its own; the way back of `local`.

        Example:
            >>> ProcessGroup(1, 3).numbers(torch.tensor([1, 0, 2]))
            tensor([4, 1, 7])
        """
        return places * self.size + self.rank

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, of tensors of one shape on the CPU."""
        if self.size == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def collect(self, values: Tensor, rows: Tensor) -> Tensor:
        """Return values of rows that several processes own, on every one of them.

        Args:
            values: (n_own, ...), those of this process's rows, in their order.
            rows: int64 (k,), numbers of the rows wanted.

        Returns:
            (k, ...).
        """
        if self.size == 1:
            return values[rows]
        mine = self.mine(rows)
        found = values.new_zeros(len(rows), *values.shape[1:])
        found[mine] = values[self.local(rows[mine])]
        return self.sum(found)

    def gather(self, values: Tensor, n: int) -> Tensor:
        """Return values of all `n` rows on the main process, and of none on the others.

        Args:
            values: (n_own, ...), those of this process's rows, in their order.
            n: rows of all processes.

        Returns:
            (n, ...) on the main process, (0, ...) elsewhere: what is of all rows may be large.
        """
        if self.size == 1:
            return values
        found = values.new_zeros(n if self.main else 0, *values.shape[1:])
        for first in range(0, n, _PIECE):
            rows = torch.arange(first, min(n, first + _PIECE))
            piece = self.collect(values, rows)
            if self.main:
                found[rows] = piece
        return found

    def tell(self, value: Any = None) -> Any:
        """Return what the main process says, on every process; anything JSON-able."""
        return self.exchange(value)[0]

    def exchange(self, value: Any) -> list[Any]:
        """Return what every process says, by rank; anything JSON-able."""
        if self.size == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = self._gather(torch.tensor([len(text)]))
        padded = torch.zeros(int(torch.stack(lengths).max()), dtype=torch.uint8)
        padded[: len(text)] = text
        said = self._gather(padded)
        pairs = zip(said, lengths, strict=True)
        return [json.loads(bytes(each[: int(n)].tolist())) for each, n in pairs]

    def any(self, flag: bool) -> bool:
        """Whether it is so on any process."""
        return bool(self.sum(torch.tensor([int(flag)]))) if self.size > 1 else flag

    def agree(self, error: Exception | None) -> None:
        """Raise an error on every process where one of them has it.

        Args:
            error: that of this process, or None.

        Raises:
            OSError: another process could not read or write.
            UserError: another process was given something wrong.
        """
        known = isinstance(error, UserError | OSError)
        if error is not None and (self.size == 1 or not known):
            raise error
        for rank, other in enumerate(self.exchange(_told(error))):
            if error is not None:
                raise error
            if other is not None:
                number, text = other
                raise OSError(number, f"process {rank}: {text}") if number else UserError(text)

    def _gather(self, value: Tensor) -> list[Tensor]:
        parts = [torch.zeros_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value)
        return parts


def _told(error: Exception | None) -> tuple[int, str] | None:
    if isinstance(error, OSError):
        # The words of the system's own, or those of ours.
        return error.errno or errno.EIO, str(error)
    return None if error is None else (0, str(error))


def _restarted() -> dict[str, Any]:
    """Return where processes meet that torchrun started once more, as keywords.

    Its store outlives them, and with it the addresses of those that are gone, which gloo would call
    again. How often they were started is sure to be known to all of them on one machine alone.
    """
    names = ("TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT", "LOCAL_WORLD_SIZE")
    kept, restarts, here = (os.environ.get(name, "") for name in names)
    if kept != "True" or restarts in ("", "0") or here != os.environ["WORLD_SIZE"]:
        return {}
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # Both are documented there; its stubs forget them.
    store_of: Any = dist
    store = store_of.TCPStore(host, port, int(here), is_master=False, timeout=_PATIENCE)
    anew = store_of.PrefixStore(f"restart-{restarts}", store)
    return {"store": anew, "rank": int(os.environ["RANK"]), "world_size": int(here)}


SINGLE_PROCESS = ProcessGroup()
