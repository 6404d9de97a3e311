"""Consistency of repeated facts: version, interpreters, commands of the workflows, container."""

import re
import tomllib
from pathlib import Path

import glo

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_versions_are_equal() -> None:
    (cited,) = re.findall(r"^version: (.*)$", read("CITATION.cff"), re.MULTILINE)
    assert PROJECT["version"] == glo.__version__ == cited


def test_workflow_runs_ci_on_all_declared_interpreters() -> None:
    workflow = read(".github/workflows/ci.yml")
    (listed,) = re.findall(r"python: \[(.*)\]", workflow)
    declared = [
        entry.rpartition(" ")[2]
        for entry in PROJECT["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", entry)
    ]
    assert [version.strip('" ') for version in listed.split(",")] == declared
    assert re.findall(r"^ +- run: (.*)$", workflow, re.MULTILINE) == ["bash .ci/run"]


def test_workflow_of_slow_tests_is_scheduled() -> None:
    workflow = read(".github/workflows/slow.yml")
    assert "cron:" in workflow
    assert re.findall(r"^ +- run: (.*)$", workflow, re.MULTILINE) == ["bash .ci/run --all"]


def test_first_changelog_section_is_unreleased_or_current() -> None:
    first = re.findall(r"^## \[(.*?)\]", read("CHANGELOG.md"), re.MULTILINE)[0]
    assert first in ("Unreleased", PROJECT["version"])


def test_container_runs_as_unprivileged_user() -> None:
    lines = [line.split() for line in read("Containerfile").splitlines() if line[:1].isupper()]
    words = [line[0] for line in lines]
    last = len(words) - words[::-1].index("FROM")
    (user,) = [line[1] for line in lines[last:] if line[0] == "USER"]
    assert user.partition(":")[0] not in ("0", "root")
    # Copied files exist, and .dockerignore admits them.
    admitted = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copies = [line[1:-1] for line in lines if line[0] == "COPY" and "--from" not in line[1]]
    copied = {name for names in copies for name in names}
    assert copied == admitted
    assert all((ROOT / name).exists() for name in copied)


def test_glossary_names_existing_files() -> None:
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| (.*) \|$", read("CONTRIBUTING.md"), re.MULTILINE)
    paths = re.findall(r"`([\w/.]+)`", " ".join(rows))
    assert len(paths) >= 40
    assert [path for path in paths if not (ROOT / "src/glo" / path).exists()] == []


def test_design_lists_the_folders() -> None:
    listed = re.findall(r"^  (\w+)/ ", read("docs/design.md"), re.MULTILINE)
    folders = [path.parent.name for path in (ROOT / "src/glo").glob("*/__init__.py")]
    assert sorted(listed) == sorted(folders)
