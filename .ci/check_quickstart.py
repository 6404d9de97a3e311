"""Run the commands of README.md with an installed program: the quickstart, shortened.

Run as `python .ci/check_quickstart.py BIN` with the folder of that program's `glo`, from the root
of a checkout. The commands run in a folder of their own, so nothing of the checkout is in reach.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

# What makes the training short. It is the command of README.md otherwise.
SHORT = ["--limit", "300", "--epochs", "1", "--width", "8"]
VERBS = ("info", "sample", "walk")


def training(text: str) -> list[str]:
    """Return the words of the command that README.md trains with."""
    marked = text.partition("<!-- train-command -->")[2].partition("<!-- /train-command -->")[0]
    (line,) = [line for line in marked.splitlines() if "glo train" in line]
    return shlex.split(line.partition("&&")[2])


def others(text: str) -> list[list[str]]:
    """Return the words of the commands after it that need nothing but the run."""
    lines = [line for line in text.splitlines() if line.startswith("glo ")]
    commands = [shlex.split(line, comments=True) for line in lines]
    return [words for words in commands if words[1] in VERBS]


def main(arguments: list[str]) -> int:
    """Run all of them, and stop at the first that fails."""
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
        made = sorted(path.name for path in (Path(folder) / "runs/mnist/samples").glob("*.png"))
        print(f"{len(made)} pictures")
        return int(not made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
