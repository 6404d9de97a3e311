"""The command `glo`: one file per verb."""

from glo.cli.app import main

__all__ = ["main"]
