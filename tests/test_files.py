"""A file is the old one or the new one, and nothing is left beside it."""

from pathlib import Path

import pytest

from glo.files import flush, replacing, write_text


def test_text_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "é.json"
    write_text(path, "one")
    write_text(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["é.json"]


def test_a_writer_that_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "before")

    def fail(place: Path) -> None:
        place.write_text("half")
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"), replacing(path) as writing:
        fail(writing)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_flushed_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "a.txt", []
    write_text(path, "before")

    def look(place: Path) -> None:
        seen.append((place.read_text(), path.read_text()))

    monkeypatch.setattr("glo.files.flush", look)
    write_text(path, "after")
    assert seen == [("after", "before")]
    monkeypatch.undo()
    flush(tmp_path)


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "caf\udce9")
    assert (tmp_path / "a.json").read_text("utf-8") == "caf?"


def test_a_file_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
