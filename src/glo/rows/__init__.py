"""Rows that come and go in a finished run: examples added, and examples forgotten."""

from glo.rows.change import add_rows, forget_rows

__all__ = ["add_rows", "forget_rows"]
