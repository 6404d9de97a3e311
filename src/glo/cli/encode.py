"""`glo encode`: codes of unseen examples."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glo.cli.open_run import DecoderOption, open_with_decoder, print_remarks
from glo.errors import UserError, require_extra
from glo.utils.files import fresh_path, parts_folder

if TYPE_CHECKING:
    from torch import Tensor

    from glo.utils.distributed import ProcessGroup
    from glo.workflows.encode import ProgressCallback, SearchKind
    from glo.workflows.inputs import Inputs
    from glo.workflows.parts import Parts
    from glo.workflows.run import Run

__all__ = ["encode"]

_MAX_IMAGES = 32
_MAX_NAMES = 5
# Multiple of the median residual above which an example is reported as unlike the training data.
_OUTLIER = 10
# Anomaly score above which examples are counted.
_UNUSUAL = 2


def encode(
    run: Path,
    /,
    *files: str,
    split: Literal["train", "test"] = "train",
    limit: int | None = None,
    search: Literal["encoder", "refine", "full"] = "refine",
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Search for the codes of unseen examples.

    Each row of the table has a name, a code, the residual (mean squared error of the decoded code),
    the percentiles of residual and code among ordinary examples, an anomaly score, the number of
    decodings, and whether the search converged. Started by torchrun, several processes encode one
    part each of the rows. A stopped command continues where it was if it is repeated.

    Args:
        run: Run folder.
        files: Image files, folders of images, or one .npy or .npz file, folder of IDX files, or
            mnist. Images are cropped and scaled like the training data.
        split: Split of the source.
        limit: Maximum number of examples.
        search: refine: a short search that begins at the code of the run's encoder; encoder: one
            pass of it; full: a search without it.
        out: A .npz, .csv or .parquet file; unset: codes.npz, or codes-2.npz and so on. Of images,
            two grids of the first and of the worst examples, each above its reconstruction, are
            saved beside it, and one of the most anomalous, with maps of their squared errors.
    """
    from glo.utils.distributed import ProcessGroup
    from glo.workflows.inputs import open_inputs

    out = out or fresh_path(Path("codes.npz"))
    if out.suffix not in (".npz", ".csv", ".parquet") or out.is_dir():
        raise UserError(f"--out is {out}; it must be a file that ends in .npz, .csv or .parquet.")
    if out.suffix == ".parquet":
        require_extra(f"{out}", "tables", "pyarrow")
    ranks = ProcessGroup.join()
    try:
        opened = open_with_decoder(run, decoder)
        shared = parts_folder(out) / "images"
        inputs = open_inputs(opened, files, split=split, limit=limit, ranks=ranks, shared=shared)
        if ranks.is_main:
            print_remarks(opened, inputs.dataset)
        parts = _parts(opened, inputs, search, out)
        code = _encode(opened, inputs, search, parts, ranks)
    finally:
        ranks.shutdown()
    if code == 0 and ranks.is_main:
        _finish(opened, inputs, search, parts, out)
    return code


def _finish(
    opened: "Run", inputs: "Inputs", search: "SearchKind", parts: "Parts", out: Path
) -> None:
    """Write table and pictures, and describe them."""
    table = parts.table()
    table |= _score(opened, table, search)
    _write(out, inputs.names, table)
    parts.remove()
    residual = table["residual"]
    print(
        f"{len(inputs):,} codes of {table['codes'].shape[1]} numbers: {out}\n"
        f"residual {float(residual.mean()):.5f} on average, median {float(residual.median()):.5f}, "
        f"highest {float(residual.max()):.5f}; "
        f"{int(table['converged'].sum()):,} of {len(inputs):,} searches converged"
    )
    _report_anomalies(inputs.names, table)
    if opened.is_images:
        _draw(opened, inputs, table, out)


def _parts(run: "Run", inputs: "Inputs", search: "SearchKind", out: Path) -> "Parts":
    from glo.workflows.encode import batch_rows
    from glo.workflows.parts import Parts, run_digest

    made_by = {"run": run_digest(run), "search": search}
    return Parts(parts_folder(out), inputs.dataset, batch_rows(), made_by)


def _encode(
    run: "Run", inputs: "Inputs", search: "SearchKind", parts: "Parts", ranks: "ProcessGroup"
) -> int:
    """Encode the rows of all parts that are missing, and return the exit code."""
    from glo.cli.parts import complete
    from glo.workflows.encode import encode_dataset

    def compute(rows: "Tensor", show: "ProgressCallback") -> dict[str, "Tensor"]:
        # Without the reconstructions, which could exceed the memory.
        (batch,) = encode_dataset(
            run, inputs.dataset, run.initial_codes, rows=rows, search=search, callback=show
        )
        found = batch.inversion
        return {
            "codes": found.codes,
            "residual": found.residuals,
            "converged": found.converged,
            "steps": found.steps,
        }

    return complete(parts, ranks, compute, len(inputs))


def _score(run: "Run", table: dict[str, "Tensor"], search: "SearchKind") -> dict[str, "Tensor"]:
    """Return the columns of the anomaly scores, none where nothing is known of such residuals."""
    import torch

    from glo.workflows.anomaly import fit_anomaly_model

    if run.errors is None:
        print(f"Note: {run.folder} has no errors of its examples, so there are no anomaly scores.")
        return {}
    if search == "encoder":
        print(
            "Note: residuals of one pass of the encoder are higher than those of a search, for "
            "which anomaly scores are calibrated, so there are none; leave out --search."
        )
        return {}
    scores = fit_anomaly_model(run).score(table["codes"], table["residual"])
    return {name: torch.from_numpy(values).float() for name, values in vars(scores).items()}


def _report_anomalies(names: tuple[str, ...], table: dict[str, "Tensor"]) -> None:
    """Name the examples that do not fit, by their anomaly score or, without, their residual."""
    residual = table["residual"]
    if "anomaly" in table:
        score, limit = table["anomaly"], float(_UNUSUAL)
        rule = f"an anomaly score above {_UNUSUAL}, where 1 of {10**_UNUSUAL} ordinary examples is"
    else:
        score, limit = residual, _OUTLIER * float(residual.median())
        rule = f"a residual above {_OUTLIER} times the median"
    order = score.argsort(descending=True, stable=True).tolist()
    unusual = [row for row in order if float(score[row]) > limit]
    if not unusual:
        print(f"None of {len(names):,} has {rule}.")
        return
    said = [f"{names[row]} (residual {_residual(table, row)})" for row in unusual[:_MAX_NAMES]]
    more = ", ..." if len(unusual) > _MAX_NAMES else ""
    print(
        f"Warning: {len(unusual):,} of {len(names):,} do not fit the run, with {rule}: "
        f"{', '.join(said)}{more}."
    )


def _residual(table: dict[str, "Tensor"], row: int) -> str:
    text = f"{float(table['residual'][row]):.4f}"
    if "residual_percentile" not in table:
        return text
    return f"{text}, above {float(table['residual_percentile'][row]):.1f} % of ordinary examples"


def _write(out: Path, names: tuple[str, ...], table: dict[str, "Tensor"]) -> None:
    import numpy as np

    from glo.data.table_writer import write_rows
    from glo.utils.files import atomic_write

    arrays: dict[str, Any] = {name: values.numpy() for name, values in table.items()}
    codes = arrays["codes"]
    columns = {"name": list(names)}
    columns |= {name: list(array) for name, array in arrays.items() if name != "codes"}
    if out.suffix == ".csv":
        write_rows(out, columns, codes=table["codes"], examples=table["codes"][:, :0])
        return
    with atomic_write(out) as writing:
        if out.suffix == ".npz":
            np.savez(writing, names=np.array(names, dtype=np.str_), **arrays)
        else:
            import pyarrow
            from pyarrow import parquet

            columns |= {f"z{place}": column for place, column in enumerate(codes.T)}
            parquet.write_table(pyarrow.table(columns), writing)


def _draw(run: "Run", inputs: "Inputs", table: dict[str, "Tensor"], out: Path) -> None:
    import torch

    from glo.decoders.decode import decode
    from glo.imaging.grids import error_maps, pairs, save_picture

    count = min(_MAX_IMAGES, len(inputs))
    shown = {"first": torch.arange(count)}
    for name, column in (("worst", "residual"), ("errors", "anomaly")):
        if column in table:
            order = table[column].argsort(descending=True, stable=True)
            shown[name] = order[:count]
    for name, rows in shown.items():
        originals = inputs.dataset.batch(rows)
        copies = decode(run.decoder, table["codes"][rows], run.settings.precision)
        maps = [error_maps(originals, copies)] if name == "errors" else []
        picture = pairs(originals, copies, *maps, columns=min(count, 16))
        path = save_picture(picture, out.with_name(f"{out.stem}-{name}.png"))
        print(f"Pictures: {path}")
