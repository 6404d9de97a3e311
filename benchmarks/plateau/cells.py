"""Cells of the study, the most informative first.

Most are made with a replica of the TensorLayer project's run that is smaller in two ways and the
same in all else. It has fewer images, N = 2,000 instead of 50,000, and batches of N / 100, so that
the generator gets 2,500 updates (theirs: 2,425) and each code 25 (theirs: 25). Its generator has a
quarter of the channels. A code's own gradient does not know the batch size, so the rate per row is
what theirs comes to, 0.1 / 512. What the replica says is then checked at full width and at full
size.
"""

from fnmatch import fnmatch
from typing import Any

from benchmarks.plateau.cell import CODE_RATE, FULL, Cell, N

__all__ = ["CELLS", "CODE_TIMES", "CURVE", "DECODER_TIMES", "find_cells"]

# How many times theirs. 1,024 undoes the mean over pixels, 524,288 that over the batch too.
DECODER_TIMES = (1, 10, 100, 1024)
CODE_TIMES = (1, 1024, 5120, 51_200, 524_288)
SEEDS = (1, 2)
CURVE = (500, 1000, 2000, 4000, 8000, 16_000, FULL)

_KINDS = {
    "frozen": "fixed random codes, generator x 100",
    "learning": "random codes x 5,120, generator x 100",
    "theirs": "their rates",
}


def _rates(decoder: int, code: int) -> dict[str, Any]:
    return {"decoder_lr": 1e-3 * decoder, "code_lr": CODE_RATE * code}


def _grid_cell(start: str, decoder: int, code: int, **more: Any) -> Cell:
    text = f"generator x {decoder:,}, codes x {code:,}, {start} codes"
    return Cell(
        name=f"{start}-d{decoder}-c{code}",
        group="grid",
        about=text,
        changes={"init": start, **_rates(decoder, code)},
        **more,
    )


def _grid() -> list[Cell]:
    cells = [_grid_cell("gaussian", d, c) for c in CODE_TIMES for d in DECODER_TIMES]
    cells += [_grid_cell("pca", d, c) for c in (1, 1024, 5120) for d in DECODER_TIMES]
    return cells


def _varied(base: str, name: str, about: str, *, dense: bool = False, **changes: Any) -> Cell:
    return Cell(
        name=f"{base}-{name}",
        group=f"from {base}",
        about=about,
        base=base,
        changes=changes,
        dense=dense,
    )


_ADAM = {"code_optimizer": "adam", "code_betas": (0.9, 0.999)}


def _from_theirs() -> list[Cell]:
    def cell(name: str, about: str, *, dense: bool = False, **changes: Any) -> Cell:
        return _varied("theirs", name, about, dense=dense, **changes)

    adam = {"decoder_optimizer": "adam", "decoder_lr": 1e-3, "decoder_betas": (0.9, 0.999)}
    return [
        cell("adam-decoder", "Adam 0.001 for the generator", **adam),
        cell("adam-both-dense-100", "dense Adam for both, 0.001 and 0.1", dense=True,
             **adam, **_ADAM, code_lr=0.1),
        cell("adam-both-dense-1", "dense Adam for both, 0.001 and 0.001", dense=True,
             **adam, **_ADAM, code_lr=1e-3),
        cell("adam-both-row-10", "Adam for both, codes per row, 0.001 and 0.01",
             **adam, **_ADAM, code_lr=0.01),
        cell("adam-codes", "Adam per row for the codes, 0.01", **_ADAM, code_lr=0.01),
        cell("adam-codes-dense", "dense Adam for the codes, 0.001", dense=True,
             **_ADAM, code_lr=1e-3),
        cell("batch-4", "batches four times smaller", batch_size=N // 400, code_lr=4 * CODE_RATE),
        cell("batch-times-4", "batches four times larger", batch_size=N // 25,
             code_lr=CODE_RATE / 4),
        cell("shuffle", "shuffled", shuffle=True),
        cell("project", "projection after each update", project_every="step"),
        cell("lap1", "Lap1", loss="lap1"),
        cell("dim-8", "codes of 8 numbers", code_dim=8, gaussian_std=8**-0.5),
        cell("dim-128", "codes of 128 numbers", code_dim=128, gaussian_std=128**-0.5),
        cell("std-1", "codes from N(0, 1), put onto the sphere", gaussian_std=1.0),
        cell("float32", "float32 instead of bfloat16", precision="float32"),
        cell("epochs-100", "100 epochs", epochs=100),
    ]  # fmt: skip


def _from_ours() -> list[Cell]:
    def cell(name: str, about: str, *, dense: bool = False, **changes: Any) -> Cell:
        return _varied("ours", name, about, dense=dense, **changes)

    frozen = {"code_optimizer": "sgd", "code_lr": CODE_RATE}
    random = {"init": "gaussian", "gaussian_std": 32**-0.5}
    slow = {"decoder_optimizer": "sgd", "decoder_lr": 1e-3}
    return [
        cell("as-it-is", "nothing changed"),
        cell("gaussian", "Gaussian codes", **random),
        cell("frozen", "codes with their SGD rate", **frozen),
        cell("gaussian-frozen", "Gaussian codes with their SGD rate", **random, **frozen),
        cell("slow", "generator with their SGD rate", **slow),
        cell("adam", "Adam 0.002 for the generator", decoder_optimizer="adam", decoder_lr=2e-3),
        cell("dense-15", "dense Adam for the codes, 0.015", dense=True, code_betas=(0.9, 0.999)),
        cell("dense-1", "dense Adam for the codes, 0.001", dense=True, code_betas=(0.9, 0.999),
             code_lr=1e-3),
        cell("row-classic", "Adam per row with (0.9, 0.999)", code_betas=(0.9, 0.999)),
        cell("mean", "gradients of codes divided by the batch size", code_grad_reduction="mean"),
        cell("no-shuffle", "not shuffled", shuffle=False),
        cell("project-epoch", "projection once an epoch", project_every="epoch"),
        cell("batch-times-4", "batches four times larger", batch_size=N // 25),
        cell("constant", "constant rates", schedule="constant"),
        cell("lap1", "Lap1", loss="lap1"),
        cell("dim-8", "codes of 8 numbers", code_dim=8),
        cell("dim-128", "codes of 128 numbers", code_dim=128),
        cell("gaussian-large", "Gaussian codes, code rate 0.06", **random, code_lr=0.06),
    ]  # fmt: skip


def _curve() -> list[Cell]:
    """Return cells with fixed and trained random codes, by number of images."""
    kinds = {"frozen": _rates(100, 1), "learning": _rates(100, 5120), "theirs": {}}
    return [
        Cell(
            name=f"curve-{kind}-{n}",
            group="curve",
            about=f"{n:,} images, {text}",
            changes=kinds[kind] | ({"batch_size": 512} if n == FULL else {}),
            n=n,
        )
        for n in CURVE
        if n != N
        for kind, text in _KINDS.items()
        if kind != "theirs" or n in (4000, FULL)
    ]


def _again(names: tuple[str, ...], cells: list[Cell]) -> list[Cell]:
    """Return copies of cells for each further seed."""
    known = {cell.name: cell for cell in cells}
    return [
        Cell(**(vars(known[name]) | {"name": f"{name}-seed{seed}", "group": "seeds", "seed": seed}))
        for seed in SEEDS
        for name in names
    ]


def _full() -> list[Cell]:
    """Return cells with the original generator width, then at full size."""
    wide = {"group": "wide", "divide": 1}
    names = ("gaussian-d1-c1", "gaussian-d100-c1", "gaussian-d100-c5120", "pca-d100-c1")
    known = {cell.name: cell for cell in _grid()}
    cells = [Cell(**(vars(known[name]) | wide | {"name": f"wide-{name}"})) for name in names]
    kept = {"group": "full", "base": "replay", "n": FULL, "divide": 1}
    theirs = {"batch_size": 512}
    fast = theirs | {"decoder_lr": 0.1}
    word = theirs | {"decoder_lr": 1.024, "code_lr": 102.4}
    return [
        *cells,
        Cell(name="replay", about="their settings", changes=theirs, **kept),
        Cell(
            name="full-pca-d100-c1",
            about="PCA codes, generator x 100",
            changes=fast | {"init": "pca"},
            **kept,
        ),
        Cell(
            name="full-d100-c5120",
            about="generator x 100, codes x 5,120",
            changes=fast | {"code_lr": 0.1 * 5120},
            **kept,
        ),
        Cell(name="full-word", about="both x 1,024: sums over pixels", changes=word, **kept),
    ]


_FIRST = (
    *("gaussian-d1-c1", "gaussian-d100-c1", "gaussian-d1-c5120", "gaussian-d100-c5120"),
    *("pca-d1-c1", "pca-d100-c1", "ours-as-it-is", "gaussian-d1024-c1024", "gaussian-d1024-c1"),
    *("ours-gaussian", "ours-frozen", "ours-gaussian-frozen", "pca-d1024-c1", "ours-slow"),
    *("replay", "theirs-adam-both-dense-100", "theirs-adam-both-dense-1", "theirs-adam-decoder"),
    *("gaussian-d10-c1", "gaussian-d100-c51200", "gaussian-d1024-c5120", "gaussian-d100-c1024"),
    *("curve-frozen-500", "curve-frozen-1000", "curve-frozen-4000", "curve-frozen-8000"),
    *("gaussian-d1-c524288", "gaussian-d1024-c51200", "pca-d100-c5120", "theirs-adam-both-row-10"),
    *("gaussian-d10-c5120", "pca-d10-c1", "pca-d100-c1024", "gaussian-d10-c51200"),
    *("ours-dense-15", "ours-dense-1", "ours-no-shuffle", "ours-project-epoch", "ours-lap1"),
    *("theirs-shuffle", "theirs-project", "theirs-batch-4", "theirs-lap1", "theirs-dim-128"),
)


def _all() -> list[Cell]:
    grid, theirs, ours = _grid(), _from_theirs(), _from_ours()
    again = ("gaussian-d1-c1", "gaussian-d100-c1", "gaussian-d100-c5120", "pca-d100-c1")
    seeds = _again((*again, "ours-as-it-is", "ours-gaussian"), grid + ours)
    cells = [*grid, *ours, *theirs, *_curve(), *seeds, *_full()]
    place = {name: number for number, name in enumerate(_FIRST)}
    return sorted(cells, key=lambda cell: place.get(cell.name, len(place)))


CELLS: tuple[Cell, ...] = tuple(_all())


def find_cells(patterns: list[str] | None) -> list[Cell]:
    """Return the cells whose name or group matches a shell pattern, or all, in order.

    Example:
        >>> [cell.name for cell in find_cells(["pca-d1-*"])][0]
        'pca-d1-c1'
    """
    return [
        cell
        for cell in CELLS
        if patterns is None
        or any(fnmatch(cell.name, p) or fnmatch(cell.group, p) for p in patterns)
    ]
