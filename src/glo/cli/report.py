"""`glo report`: the report of a run as an HTML page."""

from pathlib import Path

from glo.cli.open_run import DecoderOption, open_with_decoder

__all__ = ["report"]


def report(
    run: Path,
    data: str | None = None,
    /,
    *,
    out: Path | None = None,
    decoder: DecoderOption = None,
) -> int:
    """Write a report of a run: one HTML file, which needs no network.

    A run that still trains is reported from its last checkpoint.

    Args:
        run: The run folder.
        data: The training data; unset: the source recorded in the run. Without data the page
            shows reconstructions alone.
        out: The .html file; unset: report.html in the run folder.
    """
    from glo.errors import UserError
    from glo.report import write_report

    opened = open_with_decoder(run, decoder)
    if out is not None and (out.suffix not in (".html", ".htm") or out.is_dir()):
        raise UserError(f"--out is {out}; it must be a file that ends in .html.")
    print(f"Report: {write_report(opened, out, data=data)}")
    return 0
