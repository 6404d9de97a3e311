"""Runs in the layout of the Hugging Face Hub: a run folder with a model card."""

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from glo._version import __version__
from glo.decoders import Decoder
from glo.errors import UserError, require_extra
from glo.export.card import read_evaluation, write_card
from glo.imaging.grids import grid, save_picture
from glo.runs.data_record import DataRecord
from glo.runs.run import Run, open_run
from glo.utils.files import write_text
from glo.utils.json_toml import write_json

__all__ = ["fetch_pretrained", "from_pretrained", "push_to_hub", "save_pretrained"]

_CARD, _CONFIG, _PICTURE = "README.md", "config.json", "samples.png"
_EVALUATION = "evaluation.json"
_SAMPLES = 64
_MODEL_TYPE = "glo"
# Beside config.toml, which is written anew, the checkpoint and the priors.
_FILES = (
    "summary.json",
    "metrics.jsonl",
    "errors.safetensors",
    "estimator.json",
)
_PATTERNS = ["*.json", "*.jsonl", "*.toml", "*.safetensors", "*.md", "*.png"]
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def save_pretrained(
    run: Run, folder: str | Path, *, name: str | None = None, license: str | None = None
) -> Path:
    """Write a finished run into a folder as the Hub lays models out.

    It is a run folder still, and all commands open it. It has a model card, `config.json`, a grid
    of samples, the newest checkpoint, the priors and the figures, but no picture of training
    examples; and of where the data came from only the last part of the path.

    Args:
        run: finished.
        folder: new, empty, or made by this function before.
        name: of the repository that it is for, for the card; None: the name of the folder.
        license: identifier of the weights' licence, such as "mit".

    Returns:
        the folder.

    Raises:
        UserError: the run is not finished, the folder holds something else, or huggingface_hub is
            not installed.

    Example:
        >>> save_pretrained(open_run("runs/mnist"), "mnist-glo", license="mit")  # doctest: +SKIP
    """
    require_extra("The Hub's layout", "hub", "huggingface_hub")
    run.check_finished(unfinished="there is nothing to share yet", single="it has no prior")
    # Whoever loads it expects samples.
    run.prior()
    folder = Path(folder)
    _make_room(run, folder)
    shutil.copytree(run.checkpoint.folder, folder / "checkpoint" / run.checkpoint.folder.name)
    shutil.copytree(run.folder / "prior", folder / "prior")
    for file in _FILES:
        if (run.folder / file).is_file():
            shutil.copyfile(run.folder / file, folder / file)
    _write_evaluation(run, folder)
    shared = Run(
        folder,
        settings=run.settings,
        data=_unplaced(run.data),
        preset=run.preset,
        decoder=run.decoder_class,
    )
    shared.write_config()
    if run.is_images:
        save_picture(grid(run.sample(_SAMPLES)), folder / _PICTURE)
    card = write_card(
        shared,
        name=name or folder.resolve().name,
        license=license,
        picture=_PICTURE if run.is_images else None,
    )
    write_text(folder / _CARD, card)
    write_json(folder / _CONFIG, _config(run))
    return folder


def fetch_pretrained(
    name: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return the folder of a run that is named by its folder or by its repository on the Hub.

    Args:
        name: a folder, which is returned as it is, or USER/NAME.
        revision: branch, tag or commit; None: main.
        token: for private repositories; None: that of `hf auth login`.
        cache_dir: where downloads are kept; None: where huggingface_hub keeps them.
        local_dir: download into this folder instead, so that the run may be changed.
        local_files_only: take what was downloaded before and ask nobody.

    Raises:
        UserError: there is no such folder or repository, or it cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    if not _NAME.fullmatch(str(name)):
        raise UserError(
            f"There is no folder '{name}', and that is no name of a repository; give the folder of "
            f"a run, or USER/NAME on the Hub."
        )
    require_extra("Loading from the Hub", "hub", "huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            str(name),
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_dir=local_dir,
            local_files_only=local_files_only,
            allow_patterns=_PATTERNS,
            library_name="glo-torch",
            library_version=__version__,
        )
    except (OSError, ValueError) as error:
        raise UserError(f"There is no folder '{name}', and {_reason(error)}") from None
    return Path(found)


def from_pretrained(
    name: str | Path, *, decoder: type[Decoder] | None = None, **options: Any
) -> Run:
    """Open a run by its folder or by its repository on the Hub.

    Args:
        name: a folder, or USER/NAME, which is downloaded and kept.
        decoder: the class of its decoder, if that is none of this package.
        options: as for `fetch_pretrained`.

    Raises:
        UserError: there is none, or it is no run.

    Example:
        >>> run = from_pretrained("someone/mnist-glo", revision="main")  # doctest: +SKIP
        >>> run.sample(4, seed=1).shape  # doctest: +SKIP
        torch.Size([4, 1, 32, 32])
    """
    return open_run(fetch_pretrained(name, **options), decoder=decoder)


def push_to_hub(
    run: Run,
    repo_id: str,
    *,
    private: bool | None = None,
    license: str | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str = "Upload a GLO run",
) -> str:
    """Publish a finished run on the Hub, and return the address of the commit.

    Args:
        run: finished.
        repo_id: USER/NAME; is made if there is none.
        private: whether a new repository is.
        license: as for `save_pretrained`.
        token: None: that of `hf auth login`.
        revision: branch to commit to; None: main.
        commit_message: of the commit.

    Raises:
        UserError: it is not finished, or the Hub refuses it or cannot be reached.
    """
    require_extra("The Hub", "hub", "huggingface_hub")
    from huggingface_hub import HfApi

    hub = HfApi(token=token, library_name="glo-torch", library_version=__version__)
    with tempfile.TemporaryDirectory(prefix="glo-hub-") as room:
        folder = save_pretrained(run, Path(room) / "run", name=repo_id, license=license)
        try:
            hub.create_repo(repo_id, private=private, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                revision=revision,
                commit_message=commit_message,
                # What an older upload had there and this one has not.
                delete_patterns=["checkpoint/*", "prior/*"],
            )
        except (OSError, ValueError) as error:
            raise UserError(f"The run was not published: {_reason(error)}") from None
    return str(commit.commit_url)


def _make_room(run: Run, folder: Path) -> None:
    """Check that a folder may be written, and remove what an older run left in it."""
    held = [path for path in folder.glob("*") if not path.name.startswith(".")]
    ours = (folder / _CONFIG).is_file() and (folder / _CARD).is_file()
    if folder.resolve() == run.folder.resolve() or (held and not ours):
        raise UserError(f"{folder} exists and holds something else; give a new or empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoint", "prior"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (*_FILES, _EVALUATION, _PICTURE):
        (folder / file).unlink(missing_ok=True)


def _unplaced(data: DataRecord) -> DataRecord:
    """Return facts that name sources without the folders that they lie in."""
    changes = tuple(replace(change, source=_bare(change.source)) for change in data.changes)
    return replace(data, source=_bare(data.source), changes=changes)


def _bare(source: str) -> str:
    kind, mark, place = source.rpartition("hf:")
    if mark and not Path(place).is_absolute():
        return source
    return kind + mark + Path(place).name


def _write_evaluation(run: Run, folder: Path) -> None:
    found = read_evaluation(run)
    if found:
        # It names folders of the machine that it was made on.
        found |= {"run": run.data.name, "data": _unplaced(run.data).to_dict()}
        write_json(folder / _EVALUATION, found)


def _config(run: Run) -> dict[str, Any]:
    return {
        "model_type": _MODEL_TYPE,
        "library_name": "glo-torch",
        "library_version": __version__,
        "decoder": run.decoder.config,
        "constraint": run.settings.constraint,
        "prior": run.prior_name,
    }


def _reason(error: Exception) -> str:
    told = " ".join(str(error).split()) or type(error).__name__
    return f"the Hub's library says: {told[:300].rstrip('.')}; check the name and the network."
