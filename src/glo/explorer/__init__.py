"""A page to play with a run: served on this machine, to the person who started it alone."""

from glo.explorer.app import make_app
from glo.explorer.serve import serve

__all__ = ["make_app", "serve"]
