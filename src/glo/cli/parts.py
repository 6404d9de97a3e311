"""Commands that compute results row by row: several processes, resumed where they stopped."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from glo.utils.distributed import ProcessGroup
    from glo.workflows.encode import ProgressCallback
    from glo.workflows.parts import Parts

__all__ = ["complete"]


def complete(
    parts: "Parts",
    ranks: "ProcessGroup",
    compute: "Callable[[Tensor, ProgressCallback], Mapping[str, Tensor]]",
    n: int,
) -> int:
    """Compute the missing parts of n rows with progress and return the exit code.

    `compute` returns the columns of rows and calls a function with its progress.
    """
    from glo.cli.progress import TaskProgress
    from glo.errors import UserError
    from glo.utils.distributed import LOST
    from glo.utils.signals import StopRequest

    done, total = 0, None

    def plan(rows: int) -> None:
        nonlocal total
        total = rows
        kept = parts.n_finished if ranks.is_main else 0
        if kept:
            print(f"{kept:,} of {n:,} are finished: {parts.folder}", file=sys.stderr)

    with StopRequest() as stop, TaskProgress() as bar:

        def compute_rows(rows: "Tensor") -> "Mapping[str, Tensor]":
            nonlocal done
            columns = compute(rows, show)
            done += len(rows)
            return columns

        def show(name: str, rows: int, _: int) -> None:
            if ranks.is_main:
                bar.show(name, done + rows, total or 0)
            if stop.requested:
                raise KeyboardInterrupt

        try:
            parts.complete(ranks, compute_rows, plan)
        except KeyboardInterrupt:
            bar.close()
            if ranks.is_main:
                print(f"glo: stopped; {_describe_kept(parts, n)}.", file=sys.stderr)
            return 130
        except (UserError, OSError) as error:
            # Only the first process prints the errors of all; this one is of this process alone.
            if not ranks.is_main and total is not None:
                print(f"glo: process {ranks.rank}: {error}", file=sys.stderr)
            raise
        except RuntimeError as error:
            if ranks.size == 1 or not LOST.search(str(error)):
                raise
            print(
                f"glo: process {ranks.rank} lost the others; {parts.folder} is kept, and the same "
                f"command continues there.",
                file=sys.stderr,
            )
            return 1
    return 0


def _describe_kept(parts: "Parts", n: int) -> str:
    kept = parts.n_finished
    if not kept:
        return "nothing is kept, as no part was finished"
    return f"{kept:,} of {n:,} are kept in {parts.folder}, and the same command continues there"
