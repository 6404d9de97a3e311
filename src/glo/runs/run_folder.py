"""Check that a folder is a run folder; the command line calls it before torch is imported."""

from pathlib import Path

from glo.errors import UserError
from glo.runs.transaction import finish_change
from glo.utils.files import suggest_beside

__all__ = ["config_path"]


def config_path(folder: Path) -> Path:
    """Finish an interrupted change of a run folder, and return the path of its config.toml.

    Raises:
        UserError: it is not a run folder.
    """
    finish_change(folder)
    path = folder / "config.toml"
    if not path.is_file():
        fault = "has no config.toml" if folder.exists() else "does not exist"
        raise UserError(
            f"{folder} is not a run folder: it {fault}; give the folder that glo train named."
            f"{'' if folder.exists() else suggest_beside(folder)}"
        )
    return path
