"""The rows that several processes saved, read by any number of them.

Row i of a run that R processes saved is row i // R of the file of rank i mod R. A process reads its
own rows out of all files, piece by piece.
"""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from glo.ranks import ALONE, Ranks
from glo.rowstore import IN_MEMORY, RowStore

__all__ = ["read_rows", "rows_name"]

_PIECE = 2**16


def rows_name(kind: str, rank: int, size: int) -> str:
    """Return the name of a process's file; that of one process's tally is an older one.

    Example:
        >>> rows_name("rows", 0, 2), rows_name("tally", 0, 1)
        ('rows-0-of-2.safetensors', 'tally.safetensors')
    """
    older = (kind, size) == ("tally", 1)
    return f"{kind}.safetensors" if older else f"{kind}-{rank}-of-{size}.safetensors"


def read_rows(
    folder: Path,
    saved_by: int,
    *,
    ranks: Ranks = ALONE,
    store: RowStore = IN_MEMORY,
    names: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """Return arrays of the rows that a process owns: codes, moments and counts.

    Args:
        folder: of the checkpoint.
        saved_by: how many processes saved it.
        ranks: those that go on with it.
        store: where the arrays are put.
        names: which arrays; all when empty.

    Returns:
        by name, (n, ...), this process's rows in their order.
    """
    parts = [folder / rows_name("rows", rank, saved_by) for rank in range(saved_by)]
    n = sum(_length(part) for part in parts)
    found: dict[str, Tensor] = {}
    for rank, part in enumerate(parts):
        with safe_open(part, framework="pt") as file:
            for name in names or file.keys():
                view = file.get_slice(name)
                if name not in found:
                    shape = (ranks.count(n), *view.get_shape()[1:])
                    found[name] = store.zeros(name, shape, file.get_slice(name)[:1].dtype)
                _copy(view, found[name], Ranks(rank, saved_by), ranks, store)
    return found


def _length(path: Path) -> int:
    with safe_open(path, framework="pt") as file:
        return int(file.get_slice("codes").get_shape()[0])


def _copy(view, into: Tensor, source: Ranks, ranks: Ranks, store: RowStore) -> None:  # type: ignore[no-untyped-def]
    for first in range(0, view.get_shape()[0], _PIECE):
        piece = view[first : first + _PIECE]
        rows = torch.arange(first, first + len(piece)) * source.size + source.rank
        mine = ranks.mine(rows)
        into[ranks.local(rows[mine])] = piece[mine]
        store.relax()
