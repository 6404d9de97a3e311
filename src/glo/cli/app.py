"""The program: verbs, and what becomes of a mistake.

Exit codes: 0 done, 2 a mistake of the user's or in the data, 1 ours, 130 interrupted and saved.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, UnusedCliTokensError

from glo.errors import UserError, suggest
from glo.utils.malloc import tune_malloc

__all__ = ["app", "main", "run"]

_VERBS = {
    "train": "Learn a decoder and one code per example from data, and write a run folder.",
    "sample": "Draw new examples from the prior of a run.",
    "evaluate": "Measure reconstructions and samples of a run against examples it never saw.",
    "encode": "Search for the codes of examples that a run never saw.",
    "restore": "Fill in, enlarge, sharpen or clean damaged images, or fill the gaps of a table.",
    "walk": "Walk through the code space of a run: strips, grids, films, tables.",
    "explore": "Serve a page on this machine to look at a run and play with it.",
    "report": "Write one HTML page that shows a run.",
    "export": "Write a run for other programs: ONNX, a web page, the Hub, TensorBoard, tables.",
    "add": "Add examples to a finished run; their codes are found by search.",
    "forget": "Remove examples from a finished run.",
    "info": "Tell what a run is and how it went.",
}

app = App(
    name="glo",
    help=(
        "Generative Latent Optimization: a decoder and one latent code per example, learned "
        "together by reconstruction.\n\nStart with: glo train mnist --out runs/mnist"
    ),
    help_format="markdown",
    version_flags=["--version"],
    # `run` says what an interrupt is.
    suppress_keyboard_interrupt=False,
)
# Named, not imported: the help must not wait for torch.
for _place, (_verb, _about) in enumerate(_VERBS.items()):
    app.command(f"glo.cli.{_verb}:{_verb}", name=_verb, help=_about, sort_key=_place)


def main() -> None:
    """Run the program on the command line's words and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold bytes that are no text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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
        result = app(
            list(words) or ["--help"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        return _mistake(_said(error, words))
    except UserError as error:
        return _mistake(str(error))
    except KeyboardInterrupt:
        print("glo: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to say, also when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 130 if words and words[0] == "train" else 0
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        return _mistake(f"{error.filename or 'The run folder'} {_REASONS[error.errno]}")
    return result if isinstance(result, int) else 0


_REASONS = {
    errno.ENOSPC: "could not be written: no space is left on the device; what was saved before is "
    "kept, so free some space and run the same command again.",
    errno.EDQUOT: "could not be written: the disk quota is used up; what was saved before is kept, "
    "so free some space and run the same command again.",
    errno.EACCES: "cannot be opened or written: permission denied; give another folder.",
    errno.EPERM: "cannot be written: not permitted; give another folder.",
    errno.EROFS: "cannot be written: the file system is read-only; give another folder.",
    errno.ENOTDIR: "lies below something that is not a folder; give another path.",
    errno.EEXIST: "exists and is not a folder; give another path.",
    errno.EISDIR: "is a folder; give the name of a file.",
    errno.ENAMETOOLONG: "is too long a name; give a shorter one.",
    errno.EFBIG: "could not be written: the file is larger than is allowed here; what was saved "
    "before is kept.",
}


def _mistake(sentence: str) -> int:
    # Of several processes that find the same mistake the first one says it.
    if os.environ.get("RANK", "0") == "0":
        print(f"glo: {sentence}", file=sys.stderr)
    return 2


def _said(error: CycloptsError, words: Sequence[str]) -> str:
    text = " ".join(str(error).split())
    if words and not words[0].startswith("-") and words[0] not in _VERBS:
        verbs = ", ".join(_VERBS)
        return f"There is no command '{words[0]}'; there are {verbs}.{suggest(words[0], _VERBS)}"
    if isinstance(error, UnusedCliTokensError):
        more = " ".join(error.unused_tokens or ())
        text = f"'{more}' is more than the command takes; put a name with spaces in quotes."
    known = words[0] if words else ""
    return f"{text} See glo {known} --help." if known in _VERBS else text
