"""Shared fixture: fuzz targets with valid seed files."""

import pytest
from tests.fuzz.targets import Readers


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Readers:
    return Readers(tmp_path_factory.mktemp("readers"))
