"""Small finished runs of every kind, and a reader of pages."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from tests.builders import at_step, finish, images, stop

from glo.data import Dataset
from glo.data.storage import to_ids
from glo.runs.run import Run, open_run

NAMES = ("<script>alert(1)</script>", "a & b", "café $x^2")
_VOID = {"meta", "link", "img", "br", "hr", "input"}
QUICK: dict[str, Any] = {"epochs": 2, "refine_passes": 1, "prior": "mixture"}


@dataclass
class Page:
    """What a reader finds in a page."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    def ids(self) -> list[str]:
        return [found for _, each in self.tags if (found := each.get("id")) is not None]


class Reader(HTMLParser):
    """Read a page and note every tag that is not closed as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.page, self._open = Page(), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.page.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.page.words.append(data)

    def close(self) -> None:
        super().close()
        self.page.faults += [f"<{tag}> is left open" for tag in self._open]


def read(text: str) -> Page:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader.page


def labelled(n: int = 20) -> Dataset:
    return Dataset(
        rows=images(n)[..., None],
        labels=np.arange(n, dtype=np.int64) % 3,
        label_names=NAMES,
        ids=to_ids([f"<b>{row}.png" for row in range(n)]),
        name="<i>noise</i>",
    )


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of labelled images, whose names are markup."""
    folder = tmp_path_factory.mktemp("report") / "<b>run&"
    finish(folder, labelled(), **QUICK)
    return open_run(folder)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Dataset]:
    """A finished run of vectors, some values of which are missing."""
    folder = tmp_path_factory.mktemp("report") / "table"
    rows = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32) * [1, 10, 1, 1, 100]
    rows[::7, 1] = np.nan
    data = Dataset(rows=rows.astype(np.float32), name="table")
    finish(folder, data, **QUICK)
    return open_run(folder), data


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Dataset]:
    """A finished run of one image."""
    folder = tmp_path_factory.mktemp("report") / "single"
    data = Dataset(rows=images(1)[..., None], name="one")
    finish(folder, data, **QUICK)
    return open_run(folder), data


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was stopped at its second step."""
    folder = tmp_path_factory.mktemp("report") / "begun"
    stop(folder, at_step(2), labelled(), **QUICK)
    return open_run(folder)
