"""Check that a wheel and an sdist contain all files of the package and its licenses.

Run as `python .ci/check_packages.py dist/*.whl dist/*.tar.gz` from the root of a checkout.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

SOURCE = Path("src")
LICENSES = {"LICENSE", "NOTICE"}


def names(archive: Path) -> set[str]:
    """List the files of a wheel or an sdist, without the top folder of an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as sdist:
        return {member.name.partition("/")[2] for member in sdist if member.isfile()}


def expected() -> set[str]:
    """List the files of the package relative to `src`: code, data, weights, py.typed."""
    return {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "glo").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def missing(archive: Path) -> list[str]:
    """List the files missing from `archive`."""
    archived = names(archive)
    prefix = "" if archive.suffix == ".whl" else f"{SOURCE}/"
    files = sorted(name for name in expected() if prefix + name not in archived)
    licenses = LICENSES - {Path(name).name for name in archived}
    return files + sorted(licenses)


def main(arguments: list[str]) -> int:
    """Print one line per archive, and return 1 if a file is missing."""
    archives = [Path(argument) for argument in arguments]
    lacks = {archive: missing(archive) for archive in archives}
    for archive, files in lacks.items():
        print(f"{archive.name}: {'lacks ' + ', '.join(files) if files else 'complete'}")
    return int(any(lacks.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
