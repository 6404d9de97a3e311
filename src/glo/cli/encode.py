"""`glo encode`: codes of examples that a run never saw."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glo.cli.open_run import DecoderOption, open_with_decoder

if TYPE_CHECKING:
    from torch import Tensor

    from glo.runs.run import Run
    from glo.workflows.inputs import Inputs

__all__ = ["encode"]

_SHOWN = 32
_NAMED = 5
# A residual so many times the median is told: the decoder does not know such an example.
_TIMES_MEDIAN = 10
_TABLES = (".npz", ".csv", ".parquet")


def encode(
    run: Path,
    /,
    *files: str,
    split: Literal["train", "test"] = "train",
    limit: int | None = None,
    out: Path = Path("codes.npz"),
    decoder: DecoderOption = None,
) -> int:
    """Search for the codes of examples that a run never saw.

    Each row holds a name, a code, the residual (the mean squared error of what the decoder makes of
    the code), how many decodings it took, and whether the search stopped by itself.

    Args:
        run: The run folder.
        files: Image files, folders of them, or one .npy or .npz file, folder of IDX files, or
            mnist. Images are cut and scaled as those of the training were.
        split: Which part of a source that has two.
        limit: The first so many alone.
        out: A .npz, .csv or .parquet file. For images, pictures of the first and of the worst
            examples, each above its reconstruction, go beside it.
    """
    from glo.workflows.inputs import open_inputs

    _check_out(out)
    opened = open_with_decoder(run, decoder)
    seen = open_inputs(opened, files, split=split, limit=limit)
    for sentence in seen.skipped:
        print(f"Skipped {sentence}", file=sys.stderr)
    found = _search(opened, seen)
    _write(out, seen.names, found)
    residual = found["residual"]
    print(
        f"{len(seen):,} codes of {found['codes'].shape[1]} numbers: {out}\n"
        f"residual {float(residual.mean()):.5f} on average, median {float(residual.median()):.5f}, "
        f"highest {float(residual.max()):.5f}; "
        f"{int(found['converged'].sum()):,} of {len(seen):,} searches converged"
    )
    if outlying := _outlying(seen.names, residual):
        print(outlying)
    for path in _draw(opened, seen, found, out):
        print(f"Pictures: {path}")
    return 0


def _check_out(out: Path) -> None:
    from glo.errors import UserError, require_extra

    if out.suffix not in _TABLES or out.is_dir():
        raise UserError(f"--out is {out}; it must be a file that ends in .npz, .csv or .parquet.")
    if out.suffix == ".parquet":
        require_extra(f"{out}", "tables", "pyarrow")


def _search(run: "Run", seen: "Inputs") -> dict[str, "Tensor"]:
    import torch

    from glo.cli.progress import ProgressBar
    from glo.workflows.encode import Found, prepare_search, search_samples

    starts = prepare_search(run)
    names = ("codes", "residual", "converged", "steps")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    with ProgressBar() as bar:
        for step in search_samples(run, seen.samples, starts=starts):
            if isinstance(step, Found):
                # Not the reconstructions: those of all could be more than the memory holds.
                for name in names:
                    parts[name].append(getattr(step.inversion, name))
            else:
                bar.show("searching codes", round(step * len(seen)), len(seen))
    return {name: torch.cat(tensors) for name, tensors in parts.items()}


def _write(out: Path, names: tuple[str, ...], found: dict[str, "Tensor"]) -> None:
    from glo.utils.files import atomic_write

    write = {".npz": _write_npz, ".csv": _write_csv, ".parquet": _write_parquet}[out.suffix]
    with atomic_write(out) as writing:
        write(writing, names, found)


def _write_npz(path: Path, names: tuple[str, ...], found: dict[str, "Tensor"]) -> None:
    import numpy as np

    arrays: dict[str, Any] = {name: values.numpy() for name, values in found.items()}
    np.savez(path, names=np.array(names, dtype=np.str_), **arrays)


def _write_csv(path: Path, names: tuple[str, ...], found: dict[str, "Tensor"]) -> None:
    import csv

    columns = _columns(names, found)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_parquet(path: Path, names: tuple[str, ...], found: dict[str, "Tensor"]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(_columns(names, found)), path)


def _columns(names: tuple[str, ...], found: dict[str, "Tensor"]) -> dict[str, Any]:
    # NumPy's own scalars print as few digits as tell a float32 from any other.
    columns: dict[str, Any] = {"name": list(names)}
    columns |= {name: list(found[name].numpy()) for name in ("residual", "converged", "steps")}
    codes = found["codes"].numpy()
    return columns | {f"z{place}": list(codes[:, place]) for place in range(codes.shape[1])}


def _outlying(names: tuple[str, ...], residual: "Tensor") -> str:
    median = float(residual.median())
    order = residual.argsort(descending=True)
    far = [row for row in order.tolist() if float(residual[row]) > _TIMES_MEDIAN * median]
    if not far:
        return ""
    worst = ", ".join(f"{names[row]} ({float(residual[row]):.4f})" for row in far[:_NAMED])
    return (
        f"Warning: {len(far):,} of {len(names):,} have a residual above {_TIMES_MEDIAN} times the "
        f"median, so they are unlike what the run was trained on: {worst}"
        f"{', ...' if len(far) > _NAMED else ''}."
    )


def _draw(run: "Run", seen: "Inputs", found: dict[str, "Tensor"], out: Path) -> list[Path]:
    import torch

    from glo.decoders.decode import decode
    from glo.imaging.grids import pairs, save_picture

    if not seen.samples.is_images:
        return []
    count = min(_SHOWN, len(seen))
    worst = found["residual"].argsort(descending=True, stable=True)[:count]
    paths = []
    for name, rows in (("first", torch.arange(count)), ("worst", worst)):
        copies = decode(run.decoder, found["codes"][rows], run.settings.precision)
        picture = pairs(seen.samples.batch(rows), copies, columns=min(count, 16))
        paths.append(save_picture(picture, out.with_name(f"{out.stem}-{name}.png")))
    return paths
