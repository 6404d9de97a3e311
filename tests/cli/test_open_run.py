"""Opening of a run by every verb: paths without a run, unfinished runs, custom decoders."""

from pathlib import Path

import pytest
from tests.builders import contents, images, save_data
from tests.cli.conftest import Refuse

# Arguments of each verb after the run.
VERBS = {
    "sample": [],
    "evaluate": [],
    "encode": ["data.npy"],
    "restore": ["data.npy", "--hole", "left"],
    "walk": ["1", "data.npy"],
    "explore": ["--no-browser"],
    "report": [],
    "export": ["--codes", "codes.csv"],
    "add": ["data.npy"],
    "forget": ["3", "--yes"],
    "info": [],
}
FINISHED_ONLY = ["sample", "evaluate", "encode", "restore", "walk", "add", "forget"]


@pytest.fixture(autouse=True)
def data(workdir: Path) -> None:
    """File of one example."""
    save_data(workdir, images(1))


@pytest.mark.parametrize("verb", VERBS)
def test_path_without_a_run(verb: str, workdir: Path, refuse: Refuse) -> None:
    before = contents(workdir)
    for path, reason in (("none", "does not exist"), (".", "config.toml"), ("data.npy", "")):
        refuse([verb, path, *VERBS[verb]], f"{path} is not a run folder", reason)
    assert contents(workdir) == before


@pytest.mark.parametrize("verb", FINISHED_ONLY)
def test_unfinished_run(verb: str, stopped: Path, refuse: Refuse) -> None:
    before = contents(stopped)
    refuse([verb, str(stopped), *VERBS[verb]], "is not finished")
    assert contents(stopped) == before


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "info"])
def test_unknown_class_of_a_decoder(verb: str, made: Path, refuse: Refuse) -> None:
    refuse([verb, str(made), *VERBS[verb], "--decoder", "no.such:Thing"], "no.such:Thing", "'no'")
