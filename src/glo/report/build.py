"""The report itself: one HTML file that opens anywhere and asks no other address for anything."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from glo.data import Dataset
from glo.errors import UserError
from glo.report.blocks import Section
from glo.report.code_scatter import codemap
from glo.report.context import ReportContext, gather
from glo.report.curves import curves
from glo.report.interpolations import interpolations, principal_walks
from glo.report.overview import diagnosis, evaluation, headline, recipe
from glo.report.reconstructions import pairs
from glo.report.samples import nearest, samples
from glo.report.vectors import columns, lines, spread
from glo.runs.run import Run
from glo.utils.files import write_text

__all__ = ["make_report", "write_report"]


def write_report(
    run: Run, out: Path | None = None, *, data: str | Path | Dataset | None = None
) -> Path:
    """Write a page that shows a run, whole or not at all, and return its path.

    Args:
        run: finished or not.
        out: the file; None: report.html in the run folder.
        data: the training data; None: from where the run got them, and where they cannot be opened,
            the page does without them and says so.

    Raises:
        UserError: `data` are not those of the run, or it has no checkpoint.
        OSError: the file could not be written; one that was there before is as it was.

    Example:
        >>> write_report(open_run("runs/mnist"))  # doctest: +SKIP
        PosixPath('runs/mnist/report.html')
    """
    found, absent = _data(run, data)
    text = make_report(run, found, absent=absent)
    path = out or run.folder / "report.html"
    write_text(path, text)
    return path


def make_report(run: Run, samples: Dataset | None, *, absent: str = "") -> str:
    """Return the page; the same for the same run, whenever it is made.

    Args:
        run: finished or not.
        samples: its training data as the decoder sees them, or None.
        absent: a sentence that says why there are none.
    """
    from glo._version import __version__

    material = gather(run, samples, absent=absent)
    room = files("glo.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(room.joinpath("report.html.jinja").read_text("utf-8"))
    page = template.render(
        title=run.folder.resolve().name,
        lead=_lead(material),
        style=Markup(room.joinpath("report.css").read_text("utf-8")),
        tiles=headline(material),
        sections=list(_sections(material)),
        well=material.finished and not material.summary.get("diagnosis"),
        version=__version__,
    )
    return page + "\n"


def _data(run: Run, data: str | Path | Dataset | None) -> tuple[Dataset | None, str]:
    if isinstance(data, Dataset):
        return run.standardize(data), ""
    try:
        return run.open_data(data, command=f"glo report {run.folder}"), ""
    except UserError as error:
        if data is not None:
            raise
        return None, str(error)


def _lead(material: ReportContext) -> str:
    run = material.run
    shape = " × ".join(map(str, run.data.shape))
    kind = "images" if material.is_images else "vectors"
    return (
        f"A decoder and one code for each of {run.data.n:,} {kind} ({run.data.name}, {shape}), "
        f"learned together by reconstruction."
    )


def _sections(material: ReportContext) -> Iterator[Section]:
    yield diagnosis(material)
    if material.is_images:
        yield pairs(material)
    else:
        yield lines(material)
        yield from _there(columns(material))
    if len(material.run.codes) > 1:
        yield from _space(material)
    yield curves(material)
    yield from _there(evaluation(material))
    yield recipe(material)


def _space(material: ReportContext) -> Iterator[Section]:
    """Yield what is to be seen of the space between codes, of which one code has none."""
    yield from _there((samples if material.is_images else spread)(material))
    if material.is_images:
        yield interpolations(material)
        yield principal_walks(material)
        yield from _there(nearest(material))
    yield codemap(material)


def _there(section: Section | None) -> tuple[Section, ...]:
    return () if section is None else (section,)
