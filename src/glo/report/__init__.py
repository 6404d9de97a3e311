"""The report: one HTML file on a run."""

from glo.report.build import make_report, write_report

__all__ = ["make_report", "write_report"]
