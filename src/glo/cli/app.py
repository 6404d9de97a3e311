"""Command line: verbs, and exit codes of errors.

Exit codes: 0 done, 2 an error of the user or in the data, 1 an error in glo, 130 interrupted and
saved.
"""

import errno
import io
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from cyclopts import App, CycloptsError, MissingArgumentError, UnusedCliTokensError

from glo.errors import UserError, suggest
from glo.runs.run_folder import config_path
from glo.utils.files import existing_path
from glo.utils.malloc import tune_malloc

_VERBS = {
    "train": "Learn a decoder and one code per example from data, and write a run folder.",
    "sample": "Draw new examples from the prior of a run.",
    "evaluate": "Measure reconstructions and samples of a run on held-out examples.",
    "encode": "Search for the codes of new examples.",
    "restore": "Inpaint, enlarge, sharpen or denoise images, or impute the gaps of a table.",
    "walk": "Walk through the code space of a run: strips, grids, videos, tables.",
    "explore": "Serve an interactive page of a run on this machine.",
    "report": "Write one HTML page that shows a run.",
    "export": "Write a run for other programs: ONNX, a web page, the Hub, TensorBoard, tables.",
    "add": "Add examples to a finished run; their codes are found by search.",
    "forget": "Remove examples from a finished run.",
    "info": "Show settings, data and scores of a run.",
}

app = App(
    name="glo",
    help=(
        "Generative Latent Optimization: a decoder and one latent code per example, learned "
        "together by reconstruction.\n\nStart with:\n\n"
        "- glo train mnist --out runs/mnist\n"
        "- glo sample runs/mnist\n"
        "- glo explore runs/mnist"
    ),
    help_format="markdown",
    version_flags=["--version"],
    # `run` handles interrupts.
    suppress_keyboard_interrupt=False,
)
# By name, not by import: the help does not wait for torch.
for _index, (_verb, _help) in enumerate(_VERBS.items()):
    app.command(f"glo.cli.{_verb}:{_verb}", name=_verb, help=_help, sort_key=_index)


def main() -> None:
    """Run the program on the arguments of the process and exit."""
    for stream in (sys.stdout, sys.stderr):
        # File names may hold bytes that are no text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Without the file and line of a library, which are nothing to a user.
    warnings.formatwarning = lambda message, *_, **__: (
        f"Warning: {' '.join(str(message).split())}\n"
    )
    tune_malloc()
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run the program on `words` and return its exit code.

    Example:
        >>> run(["--version"])
        0.1.0
        0
    """
    try:
        command, bound, _ = app.parse_args(
            list(words) or ["--help"], exit_on_error=False, print_error=False
        )
        _check_paths(bound.arguments)
        result = command(*bound.args, **bound.kwargs)
    except CycloptsError as error:
        return _fail(_usage_message(error, words))
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("glo: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output has ended; this silences the flush at Python's exit, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 130 if words and words[0] == "train" else 0
    except OSError as error:
        if error.errno not in _OS_ERRORS:
            raise
        return _fail(f"{error.filename or 'The run folder'} {_OS_ERRORS[error.errno]}")
    return result if isinstance(result, int) else 0


def _check_paths(arguments: Mapping[str, Any]) -> None:
    """Check the run folder and the files of a command before it imports torch, which takes seconds.

    Names of data sets and columns are left to the command.
    """
    if "run" in arguments:
        config_path(arguments["run"])
    if arguments.get("dry_run"):
        return
    for source in (*arguments.get("files", ()), arguments.get("data", "mnist")):
        if source != "mnist" and not source.startswith("hf:") and "?" not in source:
            existing_path(source, "mnist")


_RETRY = "earlier output is saved, so free some space and run the same command again."
_OS_ERRORS = {
    errno.ENOSPC: f"could not be written: no space is left on the device; {_RETRY}",
    errno.EDQUOT: f"could not be written: the disk quota is used up; {_RETRY}",
    errno.EACCES: "cannot be opened or written: permission denied; give another folder.",
    errno.EPERM: "cannot be written: not permitted; give another folder.",
    errno.EROFS: "cannot be written: the file system is read-only; give another folder.",
    errno.ENOTDIR: "lies below something that is not a folder; give another path.",
    errno.EEXIST: "exists and is not a folder; give another path.",
    errno.EISDIR: "is a folder; give the name of a file.",
    errno.ENAMETOOLONG: "is too long a name; give a shorter one.",
    errno.EFBIG: "could not be written: the file is larger than is allowed here; earlier output "
    "is saved.",
}


def _fail(message: str) -> int:
    # Of several processes with the same error the first one prints it.
    if os.environ.get("RANK", "0") == "0":
        print(f"glo: {message}", file=sys.stderr)
    return 2


def _usage_message(error: CycloptsError, words: Sequence[str]) -> str:
    text = " ".join(str(error).split())
    verb = words[0] if words else ""
    if verb and not verb.startswith("-") and verb not in _VERBS:
        verbs = ", ".join(_VERBS)
        return f"There is no command '{verb}'; there are {verbs}.{suggest(verb, _VERBS)}"
    if isinstance(error, MissingArgumentError) and verb == "train" and len(words) == 1:
        text = "glo train needs data, such as a folder of images or mnist: glo train mnist."
    if isinstance(error, UnusedCliTokensError):
        tokens = " ".join(error.unused_tokens or ())
        text = f"'{tokens}' is more than the command takes; put a name with spaces in quotes."
    return f"{text} See glo {verb} --help." if verb in _VERBS else text
