"""The rows that several processes saved, read by any number of them.

Row i of a run that R processes saved is row i // R of the file of rank i mod R. A process reads its
own rows out of all files, piece by piece.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from glo.errors import UserError
from glo.utils.distributed import SINGLE_PROCESS, ProcessGroup
from glo.utils.row_store import IN_MEMORY, RowStore
from glo.utils.safetensors_io import Header, check_finite, read_header

__all__ = ["read_rows", "rows_name"]

_PIECE = 2**16


def rows_name(kind: str, rank: int, size: int) -> str:
    """Return the name of a process's file; that of one process's statistics is an older one.

    Example:
        >>> rows_name("rows", 0, 2), rows_name("statistics", 0, 1)
        ('rows-0-of-2.safetensors', 'statistics.safetensors')
    """
    older = (kind, size) == ("statistics", 1)
    return f"{kind}.safetensors" if older else f"{kind}-{rank}-of-{size}.safetensors"


def read_rows(
    folder: Path,
    saved_by: int,
    wanted: Mapping[str, Tensor],
    *,
    ranks: ProcessGroup = SINGLE_PROCESS,
    store: RowStore = IN_MEMORY,
    more: bool = False,
) -> dict[str, Tensor]:
    """Return arrays of the rows that a process owns: codes, moments and counts.

    Args:
        folder: of the checkpoint.
        saved_by: how many processes saved it.
        wanted: the arrays by name, one row of each, "codes" among them.
        ranks: those that go on with it.
        store: where the arrays are put.
        more: whether the files may hold other arrays as well.

    Returns:
        by name, (n, ...), this process's rows in their order.

    Raises:
        UserError: a file is missing, holds something else, or NaN or infinity.
    """
    paths = [folder / rows_name("rows", rank, saved_by) for rank in range(saved_by)]
    headers = [read_header(path) for path in paths]
    savers = [ProcessGroup(rank, saved_by) for rank in range(saved_by)]
    n = sum(_count(header) for header in headers)
    for saver, header in zip(savers, headers, strict=True):
        _check(header, wanted, saver.count(n), more=more)
    found = {
        name: store.zeros(name, (ranks.count(n), *row.shape[1:]), row.dtype)
        for name, row in wanted.items()
    }
    for saver, path in zip(savers, paths, strict=True):
        for name, into in found.items():
            for first, piece in _pieces(path, name):
                rows = saver.numbers(torch.arange(first, first + len(piece)))
                mine = ranks.mine(rows)
                into[ranks.local(rows[mine])] = piece[mine]
                store.relax()
    return found


def _pieces(path: Path, name: str) -> Iterator[tuple[int, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            view = file.get_slice(name)
            for first in range(0, view.get_shape()[0], _PIECE):
                piece = view[first : first + _PIECE]
                check_finite(path, {name: piece})
                yield first, piece
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def _count(header: Header) -> int:
    about = header.tensors.get("codes")
    return about[1][0] if about and about[1] else 0


def _check(header: Header, wanted: Mapping[str, Tensor], n: int, *, more: bool) -> None:
    """Check that a file holds n rows of each array, before memory is taken."""
    if more:
        kept = {name: about for name, about in header.tensors.items() if name in wanted}
        header = replace(header, tensors=kept)
    here = torch.device("meta")
    header.check(
        {
            name: torch.empty(n, *row.shape[1:], dtype=row.dtype, device=here)
            for name, row in wanted.items()
        }
    )
