"""Interactive web page of a run, served on this machine for one user."""

from glo.explorer.app import make_app
from glo.explorer.serve import serve

__all__ = ["make_app", "serve"]
