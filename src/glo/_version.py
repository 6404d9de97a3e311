"""The installed version; a module of its own, so that no other module imports upwards for it."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("glo-torch")
