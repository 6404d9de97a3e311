"""The report: one HTML file without external resources."""

import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from glo._version import __version__
from glo.data import Dataset
from glo.errors import UserError
from glo.report.blocks import Section
from glo.report.code_scatter import code_scatter_section
from glo.report.context import ReportContext, read_context
from glo.report.curves import curves_section
from glo.report.interpolations import directions_section, interpolations_section
from glo.report.overview import diagnosis_section, evaluation_section, headline, settings_section
from glo.report.reconstructions import reconstructions_section
from glo.report.samples import nearest_section, samples_section
from glo.report.vectors import columns_section, lines_section, spread_section
from glo.runs.run import Run
from glo.utils.files import write_text

__all__ = ["make_report", "write_report"]


def write_report(
    run: Run, out: Path | None = None, *, data: str | Path | Dataset | None = None
) -> Path:
    """Write the report of a run as an HTML file atomically, and return its path.

    Args:
        run: finished or not.
        out: path of the file; None: report.html in the run folder.
        data: the training data; None: the source recorded in the run, or a report without data
            where that cannot be opened.

    Raises:
        UserError: `data` are not the training data, or the run has no checkpoint.

    Warns:
        RuntimeWarning: a section could not be made; the page shows the reason in its place.
    """
    dataset, missing_data = None, ""
    if isinstance(data, Dataset):
        dataset = run.standardize(data)
    else:
        try:
            dataset = run.open_data(data, command=f"glo report {run.folder}")
        except UserError as error:
            if data is not None:
                raise
            missing_data = str(error)
    text = make_report(run, dataset, missing_data=missing_data)
    path = out or run.folder / "report.html"
    write_text(path, text)
    return path


def make_report(run: Run, dataset: Dataset | None, *, missing_data: str = "") -> str:
    """Return the report of a run as HTML; it depends on the run and its data only.

    Raises:
        UserError: the run has a custom decoder, which was not given.

    Warns:
        RuntimeWarning: a section could not be made; the page shows the reason in its place.
    """
    _ = run.decoder_class
    context = read_context(run, dataset, missing_data=missing_data)
    folder = files("glo.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(folder.joinpath("report.html.jinja").read_text("utf-8"))
    shape = " × ".join(map(str, run.data.shape))
    kind = "images" if run.is_images else "vectors"
    page = template.render(
        title=run.folder.resolve().name,
        lead=f"A decoder and one code for each of {run.data.n:,} {kind} ({run.data.name}, {shape}),"
        f" learned together by reconstruction.",
        style=Markup(folder.joinpath("report.css").read_text("utf-8")),
        tiles=headline(context),
        sections=_sections(context),
        well=context.finished and not context.summary.get("diagnosis"),
        version=__version__,
    )
    return page + "\n"


_Make = Callable[[ReportContext], Section | None]
_OF_SEVERAL_CODES = ("samples", "interpolations", "directions", "neighbours", "map")


def _sections(context: ReportContext) -> list[tuple[str, str, Section]]:
    """Return anchors, titles and sections; a reason stands in the place of one that fails."""
    # With the functions for images and for vectors.
    parts: list[tuple[str, str, _Make | None, _Make | None]] = [
        ("diagnosis", "Diagnosis", diagnosis_section, diagnosis_section),
        ("reconstructions", "Reconstructions", reconstructions_section, lines_section),
        ("columns", "Errors of the columns", None, columns_section),
        ("samples", "Samples", samples_section, spread_section),
        ("interpolations", "Interpolations", interpolations_section, None),
        ("directions", "Principal directions", directions_section, None),
        ("neighbours", "Nearest training examples of samples", nearest_section, None),
        ("map", "Map of the codes", code_scatter_section, code_scatter_section),
        ("training", "Training", curves_section, curves_section),
        ("evaluation", "Evaluation", evaluation_section, evaluation_section),
        ("recipe", "How it was made", settings_section, settings_section),
    ]
    sections = []
    for anchor, title, of_images, of_vectors in parts:
        make = of_images if context.run.is_images else of_vectors
        if make is None or (anchor in _OF_SEVERAL_CODES and len(context.run.codes) < 2):
            continue
        try:
            section = make(context)
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
            section = Section(text=(f"This section could not be made ({reason}).",))
            warnings.warn(
                f"The section '{title}' of the report could not be made ({reason}).",
                RuntimeWarning,
                stacklevel=4,
            )
        if section is not None:
            sections.append((anchor, title, section))
    return sections
