"""What is written down twice says the same: versions, interpreters, the command that checks all."""

import re
import tomllib
from pathlib import Path

import glo

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    (cited,) = re.findall(r"^version: (.*)$", read("CITATION.cff"), re.MULTILINE)
    assert PROJECT["version"] == glo.__version__ == cited


def test_the_workflow_runs_what_is_run_at_home_on_the_interpreters_that_are_promised() -> None:
    workflow = read(".github/workflows/ci.yml")
    (listed,) = re.findall(r"python: \[(.*)\]", workflow)
    promised = [
        entry.rpartition(" ")[2]
        for entry in PROJECT["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", entry)
    ]
    assert [version.strip('" ') for version in listed.split(",")] == promised
    assert re.findall(r"^ +- run: (.*)$", workflow, re.MULTILINE) == ["bash .ci/run"]


def test_the_changelog_begins_with_what_is_not_released() -> None:
    first = re.findall(r"^## \[(.*?)\]", read("CHANGELOG.md"), re.MULTILINE)[0]
    assert first in ("Unreleased", PROJECT["version"])


def test_the_container_runs_without_rights() -> None:
    lines = [line.split() for line in read("Containerfile").splitlines() if line[:1].isupper()]
    words = [line[0] for line in lines]
    last = len(words) - words[::-1].index("FROM")
    (user,) = [line[1] for line in lines[last:] if line[0] == "USER"]
    assert user.partition(":")[0] not in ("0", "root")
    # What is copied is there, and .dockerignore lets it in.
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copies = [line[1:-1] for line in lines if line[0] == "COPY" and "--from" not in line[1]]
    copied = {name for names in copies for name in names}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
