"""Run the quickstart of README.md, shortened, with an installed program.

Run as `python .ci/check_quickstart.py BIN` with the folder of the program `glo`, from the root of a
checkout. The commands run in a temporary folder, so the checkout is not importable.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

# Options that shorten the training command of README.md.
SHORT = ["--limit", "300", "--epochs", "1", "--width", "8"]
VERBS = ("info", "sample", "walk")


def training(text: str) -> list[str]:
    """Return the arguments of the training command of README.md."""
    marked = text.partition("<!-- train-command -->")[2].partition("<!-- /train-command -->")[0]
    (line,) = [line for line in marked.splitlines() if "glo train" in line]
    return shlex.split(line.partition("&&")[2])


def others(text: str) -> list[list[str]]:
    """Return the arguments of the later commands that need the run only."""
    lines = [line for line in text.splitlines() if line.startswith("glo ")]
    commands = [shlex.split(line, comments=True) for line in lines]
    return [words for words in commands if words[1] in VERBS]


def main(arguments: list[str]) -> int:
    """Run all commands, and stop at the first failure."""
    program = Path(arguments[0]).resolve() / "glo"
    text = Path("README.md").read_text("utf-8")
    commands = [training(text) + SHORT, *others(text)]
    assert {words[1] for words in commands} == {"train", *VERBS}, "README.md lacks a command"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GLO_CACHE": str(Path(folder) / "cache")}
        for words in commands:
            print(f"$ {shlex.join(words)}", flush=True)
            done = subprocess.run([program, *words[1:]], cwd=folder, env=environment)
            if done.returncode:
                return done.returncode
        images = sorted(path.name for path in (Path(folder) / "runs/mnist/samples").glob("*.png"))
        print(f"{len(images)} images")
        return int(not images)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
