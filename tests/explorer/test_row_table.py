"""Tables and lists of chosen rows, compared with the run."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from tests.explorer.client import N, Visit, decode

from glo.runs.run import open_run

ROWS = np.array([7, 2, 39], "<i4")


def test_a_table_of_rows(visit: Visit, labelled: Path) -> None:
    values = visit(labelled).post("/api/rows", content=ROWS.tobytes()).json()
    errors = open_run(labelled).errors
    assert errors is not None
    assert (values["ids"], values["labels"]) == (None, [1, 0, 1])
    np.testing.assert_array_equal(decode(values["errors"]), errors[ROWS].numpy())
    shares = [100 * float((errors <= errors[row]).float().mean()) for row in ROWS.tolist()]
    assert decode(values["percentiles"]).tolist() == pytest.approx(shares)
    assert values["typical"] == pytest.approx(float(errors.median()))


def test_unknown_errors_are_empty(visit: Visit, bare: Path) -> None:
    client, rows = visit(bare), ROWS[:2].tobytes()
    values = client.post("/api/rows", content=rows).json()
    assert np.isnan(decode(values["errors"])).all()
    assert np.isnan(decode(values["percentiles"])).all()
    text = client.post("/api/rows.csv", content=rows).text
    assert text == "row,error,percentile\n7,,\n2,,\n"


def test_files_of_rows(visit: Visit, labelled: Path, named: Path) -> None:
    client, rows = visit(labelled), ROWS.tobytes()
    lines = list(csv.DictReader(io.StringIO(client.post("/api/rows.csv", content=rows).text)))
    assert [*lines[0]] == ["row", "label", "error", "percentile"]
    assert [line["label"] for line in lines] == ["ring", "dot", "ring"]
    response = client.post("/api/rows.txt", content=rows)
    assert response.headers["content-type"].startswith("text/plain")
    assert f"3 of the {N} examples of labelled" in response.text
    assert open_run(labelled).row_ids.parse(response.text).tolist() == ROWS.tolist()
    client, rows = visit(named), ROWS[:2] % 5
    response = client.post("/api/rows.txt", content=rows.astype("<i4").tobytes())
    assert response.text.splitlines()[1:] == ["id:person2.png"] * 2
