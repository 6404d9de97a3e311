"""Runs in the layout of the Hugging Face Hub: a run folder with a model card."""

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from glo._version import __version__
from glo.config.settings import Settings
from glo.data.storage import IDS_FILE
from glo.decoders import DecoderLike
from glo.errors import UserError, require_extra
from glo.export.card import read_evaluation, render_card
from glo.imaging.grids import grid, save_picture
from glo.runs.code_map import CODE_MAP_FILE
from glo.runs.data_record import DataRecord
from glo.runs.reading_record import READING_FILE, write_reading
from glo.runs.reconstruction_errors import CALIBRATION_FILE
from glo.runs.run import ENCODER_FILE
from glo.runs.run import Run as RunFolder
from glo.utils.files import write_text
from glo.utils.json_toml import write_json
from glo.workflows.run import Run, open_run

__all__ = ["fetch_pretrained", "from_pretrained", "push_to_hub", "save_pretrained"]

_CARD, _CONFIG, _PICTURE = "README.md", "config.json", "samples.png"
_EVALUATION = "evaluation.json"
_SAMPLES = 64
_LIBRARY: dict[str, Any] = {"library_name": "glo-torch", "library_version": __version__}
# Copied beside the checkpoint and the priors; config.toml is written without paths.
# Identities of rows and notes on the data are left out: they may hold names of persons.
_FILES = (
    "summary.json",
    "metrics.jsonl",
    "errors.safetensors",
    "estimator.json",
    CALIBRATION_FILE,
    CODE_MAP_FILE,
    ENCODER_FILE,
)
_PATTERNS = ["*.json", "*.jsonl", "*.toml", "*.safetensors", "*.md", "*.png"]
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def save_pretrained(
    run: RunFolder, folder: str | Path, *, name: str | None = None, license: str | None = None
) -> Path:
    """Write a finished run into a folder in the layout of the Hub, and return its path.

    The folder is a run folder, which all commands open, with a model card, `config.json`, a grid
    of samples, the newest checkpoint, the priors and the figures. It has no picture of a training
    example, and of the source of the data only the last part of the path.

    Args:
        run: finished.
        folder: path of a new or empty folder, or of an earlier export.
        name: name of the repository, for the card; None: the name of the folder.
        license: identifier of the license of the weights, such as "mit".

    Raises:
        UserError: the run is not finished, the folder has other files, or huggingface_hub is not
            installed.
    """
    require_extra("The Hub's layout", "hub", "huggingface_hub")
    run.check_finished(unfinished="there is nothing to share yet", single="it has no prior")
    # Raises without a default prior: users of the folder expect samples.
    run.prior()
    folder = Path(folder)
    _prepare_folder(run, folder)
    shutil.copytree(run.checkpoint.folder, folder / "checkpoint" / run.checkpoint.folder.name)
    shutil.copytree(run.folder / "prior", folder / "prior")
    for file in _FILES:
        if (run.folder / file).is_file():
            shutil.copyfile(run.folder / file, folder / file)
    data = _without_paths(run.data)
    evaluation = read_evaluation(run)
    if evaluation:
        write_json(folder / _EVALUATION, {**evaluation, "run": data.name, "data": data.to_dict()})
    shared = RunFolder(
        folder,
        settings=_without_start(run.settings),
        data=data,
        preset=run.preset,
        decoder=run.decoder_class,
    )
    shared.write_config()
    write_reading(folder, run.reading)
    if run.is_images:
        save_picture(grid(run.sample(_SAMPLES)), folder / _PICTURE)
    card = render_card(
        shared,
        name=name or folder.resolve().name,
        license=license,
        picture=_PICTURE if run.is_images else None,
    )
    write_text(folder / _CARD, card)
    config = {
        "model_type": "glo",
        **_LIBRARY,
        "decoder": run.decoder.config,
        "constraint": run.settings.constraint,
        "prior": run.prior_name,
    }
    write_json(folder / _CONFIG, config)
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
    """Return the folder of a run given by its folder or by its repository on the Hub.

    Args:
        name: path of a folder, which is returned as is, or USER/NAME.
        revision: branch, tag or commit; None: main.
        token: token for private repositories; None: the token of `hf auth login`.
        cache_dir: folder of downloads; None: the default of huggingface_hub.
        local_dir: folder to download into instead, so that the run may be changed.
        local_files_only: whether only earlier downloads are used, without a network.

    Raises:
        UserError: there is no such folder or repository, or it cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    if not _REPOSITORY.fullmatch(str(name)):
        raise UserError(
            f"There is no folder '{name}', and that is no name of a repository; give the folder of "
            f"a run, or USER/NAME on the Hub."
        )
    require_extra("Loading from the Hub", "hub", "huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            str(name),
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_dir=local_dir,
            local_files_only=local_files_only,
            allow_patterns=_PATTERNS,
            **_LIBRARY,
        )
    except (OSError, ValueError) as error:
        raise UserError(f"There is no folder '{name}', and {_reason(error)}") from None
    return Path(folder)


def from_pretrained(name: str | Path, *, decoder: DecoderLike | None = None, **options: Any) -> Run:
    """Open a run by its folder or by its repository on the Hub.

    Args:
        name: path of a folder, or USER/NAME, which is downloaded.
        decoder: class of its custom decoder; None: a decoder of this package.
        options: as for `fetch_pretrained`.

    Raises:
        UserError: it does not exist, or is not a run.

    Example:
        >>> run = from_pretrained("someone/mnist-glo", revision="main")  # doctest: +SKIP
        >>> run.sample(4, seed=1).shape  # doctest: +SKIP
        torch.Size([4, 1, 32, 32])
    """
    return open_run(fetch_pretrained(name, **options), decoder=decoder)


def push_to_hub(
    run: RunFolder,
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
        repo_id: USER/NAME, created if there is none.
        private: whether a new repository is private.
        license: as for `save_pretrained`.
        token: access token; None: the token of `hf auth login`.
        revision: branch to commit to; None: main.
        commit_message: message of the commit.

    Raises:
        UserError: the run is not finished, or the Hub refuses it or cannot be reached.
    """
    require_extra("The Hub", "hub", "huggingface_hub")
    from huggingface_hub import HfApi

    hub = HfApi(token=token, **_LIBRARY)
    with tempfile.TemporaryDirectory(prefix="glo-hub-") as temporary:
        folder = save_pretrained(run, Path(temporary) / "run", name=repo_id, license=license)
        try:
            hub.create_repo(repo_id, private=private, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                revision=revision,
                commit_message=commit_message,
                # Files of an earlier upload with other checkpoints or priors.
                delete_patterns=["checkpoint/*", "prior/*"],
            )
        except (OSError, ValueError) as error:
            raise UserError(f"The run was not published: {_reason(error)}") from None
    return str(commit.commit_url)


def _prepare_folder(run: RunFolder, folder: Path) -> None:
    """Check that a folder may be written, and delete the files of an earlier export."""
    is_export = (folder / _CONFIG).is_file() and (folder / _CARD).is_file()
    has_files = any(not path.name.startswith(".") for path in folder.glob("*"))
    if folder.resolve() == run.folder.resolve() or (has_files and not is_export):
        raise UserError(f"{folder} exists and holds something else; give a new or empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoint", "prior"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (*_FILES, READING_FILE, IDS_FILE, _EVALUATION, _PICTURE):
        (folder / file).unlink(missing_ok=True)


def _without_start(settings: Settings) -> Settings:
    """Return settings with the name of the run that the training began with, not its path."""
    return (
        settings if settings.start is None else replace(settings, start=_last_part(settings.start))
    )


def _without_paths(data: DataRecord) -> DataRecord:
    """Return a data record with the last part of the path of each source only."""
    changes = tuple(replace(each, **_pathless(each.source)) for each in data.changes)
    return replace(data, **_pathless(data.source), changes=changes)


def _pathless(source: str) -> dict[str, Any]:
    return {"source": _last_part(source), "directory": "", "run_folder": ""}


def _last_part(source: str) -> str:
    before, prefix, path = source.rpartition("hf:")
    if prefix and not Path(path).is_absolute():
        return source
    return before + prefix + Path(path).name


def _reason(error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"the Hub's library says: {reason[:300].rstrip('.')}; check the name and the network."
