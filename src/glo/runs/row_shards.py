"""Row shards: the per-row tensors that several processes saved, read by any number of processes.

Row i of a run that R processes saved is row i // R of the file of rank i mod R. A process reads its
own rows from all files, in pieces.
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

__all__ = ["read_rows", "shard_name"]

_PIECE = 2**16


def shard_name(kind: str, rank: int, size: int) -> str:
    """Return the name of a process's file, such as rows-0-of-2.safetensors."""
    return f"{kind}-{rank}-of-{size}.safetensors"


def read_rows(
    folder: Path,
    saved_by: int,
    example: Mapping[str, Tensor],
    *,
    ranks: ProcessGroup = SINGLE_PROCESS,
    store: RowStore = IN_MEMORY,
    partial: bool = False,
) -> dict[str, Tensor]:
    """Read the rows that a process owns: codes, moments and counts, (n, ...) by name.

    Args:
        saved_by: R, number of processes that saved it.
        example: one row of each tensor by name, "codes" among them.
        partial: whether the files may have further tensors, which are not read.
    """
    paths = [folder / shard_name("rows", rank, saved_by) for rank in range(saved_by)]
    headers = [read_header(path) for path in paths]
    savers = [ProcessGroup(rank, saved_by) for rank in range(saved_by)]
    n = sum(_count(header) for header in headers)
    for saver, header in zip(savers, headers, strict=True):
        _check(header, example, saver.row_count(n), partial=partial)
    tensors = {
        name: store.zeros(name, (ranks.row_count(n), *row.shape[1:]), row.dtype)
        for name, row in example.items()
    }
    for saver, path in zip(savers, paths, strict=True):
        for name, tensor in tensors.items():
            for start, piece in _pieces(path, name):
                rows = saver.global_rows(torch.arange(start, start + len(piece)))
                owned = ranks.is_local(rows)
                tensor[ranks.local_rows(rows[owned])] = piece[owned]
                store.release()
    return tensors


def _pieces(path: Path, name: str) -> Iterator[tuple[int, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            view = file.get_slice(name)
            for start in range(0, view.get_shape()[0], _PIECE):
                piece = view[start : start + _PIECE]
                check_finite(path, {name: piece})
                yield start, piece
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def _count(header: Header) -> int:
    _, shape = header.tensors.get("codes", (None, ()))
    return shape[0] if shape else 0


def _check(header: Header, example: Mapping[str, Tensor], n: int, *, partial: bool) -> None:
    """Check that a file has n rows of each tensor, before memory is allocated."""
    if partial:
        tensors = {name: header.tensors[name] for name in example.keys() & header.tensors.keys()}
        header = replace(header, tensors=tensors)
    header.check({k: row.new_empty(n, *row.shape[1:], device="meta") for k, row in example.items()})
