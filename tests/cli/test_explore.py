"""`glo explore` and `glo train --watch` as processes: address, end, bad ports."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import uvicorn
from tests.builders import ROOT, images, save_data, start_glo
from tests.cli.conftest import Refuse

from glo.cli.app import run

ADDRESS = re.compile(r"^http://127\.0\.0\.1:(\d+)/\?token=([\w-]{32})$", re.MULTILINE)


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_serves_until_interrupted(made: Path) -> None:
    process = start_glo(["explore", str(made), "--no-browser"])
    try:
        address = ADDRESS.fullmatch(first_line(process).strip())
        assert address is not None
        port = address[1]
        # Other addresses, even of this machine, are not served.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", int(port)), timeout=5)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/run", timeout=60)
        with urllib.request.urlopen(address[0].replace("?", "api/run?"), timeout=60) as answer:
            assert b'"state":"finished"' in answer.read()
            assert answer.headers["server"] is None
    finally:
        process.send_signal(signal.SIGINT)
        said, faults = process.communicate(timeout=120)
    assert process.returncode == 0
    # Quiet: no log of requests, which would hold the token, and no traceback.
    assert (said.splitlines()[1:], faults) == ([], "")


def test_browser_is_opened_with_the_address(
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert run(["explore", str(made)]) == 0
    address, about = capsys.readouterr().out.splitlines()
    assert address == opened[0]
    assert str(made) in about
    assert run(["explore", str(made), "--no-browser"]) == 0
    assert len(opened) == 1
    # Each start has another token.
    second = ADDRESS.match(capsys.readouterr().out)
    assert second is not None
    assert second[2] not in opened[0]


def test_bad_ports(made: Path, refuse: Refuse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 99999, -1):
            refuse(["explore", str(made), "--port", str(port), "--no-browser"], "--port", f"{port}")


def test_watched_training_ends_its_page(tmp_path: Path) -> None:
    data = save_data(tmp_path, images(20))
    # It goes on until it is stopped.
    small = ["--width", "4", "--code-dim", "4", "--batch-size", "8", "--epochs", "1000000"]
    out = ["--out", str(tmp_path / "run"), "--watch"]
    environment = {"GLO_CACHE": str(tmp_path / "cache")}
    process = start_glo(["train", data, *small, *out], env=environment)
    address = None
    assert process.stdout is not None
    for line in process.stdout:
        if address := ADDRESS.match(line.strip()):
            break
    assert address is not None
    with urllib.request.urlopen(
        f"http://127.0.0.1:{address[1]}/api/progress?token={address[2]}", timeout=60
    ) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode in (0, 130)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(address[1])), timeout=5)


@pytest.mark.slow
def test_page_ends_with_its_parent(made: Path) -> None:
    # A shell that starts the page and is killed, as a training may be.
    words = [sys.executable, "-m", "glo", "explore", str(made), "--no-browser", "--parent"]
    source = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    shell = subprocess.Popen(
        ["sh", "-c", f"{shlex.join(words)} $$ & wait"],
        env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
    )
    assert ADDRESS.fullmatch(first_line(shell).strip())
    shell.kill()
    # The page holds the pipe as long as it lives.
    said, _ = shell.communicate(timeout=120)
    assert said == ""
