"""Parse the command line, run the command, and turn what goes wrong into messages and exit codes."""

import argparse
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from types import ModuleType
from typing import Any

from dsl._version import __version__
from dsl.cli import (
    adaptive,
    annotate,
    collect,
    compare,
    completion,
    diagnose,
    evaluate,
    fit,
    multiverse,
    power,
    proportions,
    replicate,
    sample,
    validate,
)
from dsl.cli.words import arguments_of, in_words_of
from dsl.exceptions import DSLError, DSLWarning

DONE, BUG, WRONG, INTERRUPTED = 0, 1, 2, 130
SIGNALLED = 128
"""Exit code, as shells have it, of a process that a signal ended, less the signal's number: 143 for SIGTERM."""
COMMANDS = (
    *(fit, compare, diagnose, multiverse, proportions, power, evaluate, sample, collect, adaptive, annotate, validate),
    *(replicate, completion),
)
EPILOG = """\
examples:
  dsl annotate posts.csv --text body --codebook book.yaml --model gpt-4o-mini --out labels.csv
  dsl sample posts.csv --n-labels 500 --columns text --label y --design design.npz --coder coder.csv
  dsl collect posts.csv --design design.npz --coder coder.csv --label y --out labelled.csv
  dsl fit labelled.csv "y ~ x" --predicted y --prediction llm_y --design design.npz --json fit.json

exit codes: 0 done; 2 the command, a file or the data cannot be used (the message says why); 1 unexpected error
(--debug shows where), or numbers that 'dsl replicate' found to differ; 130 interrupted. Output files are written when all is
done, each in one step, or not at all.
"""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    out = argparse.ArgumentParser(
        prog="dsl",
        description="Valid regressions on imperfect labels: design-based supervised learning.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    out.add_argument("--version", action="version", version=f"dsl {__version__}")
    commands = out.add_subparsers(dest="command", metavar="command", required=True)
    for module in COMMANDS:
        _add_command(commands, module, "")
    return out


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", module: ModuleType, above: str
) -> None:
    """A command, or a command with commands below it."""
    name = module.__name__.rsplit(".", 1)[-1]
    each = commands.add_parser(
        name,
        help=module.HELP,
        description=module.__doc__,
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    shown = f"{above}{name}"
    if steps := getattr(module, "STEPS", ()):
        below = each.add_subparsers(dest="step", metavar="step", required=True)
        for step in steps:
            _add_command(below, step, f"{shown} ")
        return
    module.add_arguments(each)
    each.add_argument("--quiet", action="store_true", help="print no summary and no warnings")
    each.add_argument("--debug", action="store_true", help="show the traceback of an error")
    each.set_defaults(run=module.run, words=arguments_of(each), shown=shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments, by default those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 2 unusable command, file or data, 1 unexpected error (or differences that ``dsl replicate`` found), 130
        interrupted. (A command that cannot be parsed raises ``SystemExit(2)``, as argparse does.)

    Examples
    --------
    >>> from dsl.cli import main
    >>> main(["fit", "posts.csv", "y ~ x", "--predicted", "y"])
    2
    """
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(given)
    options.argv = ["dsl", *given]
    with _printable():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    """Run the command that was parsed, and turn what goes wrong into a message and an exit code."""
    try:
        with _told(options) as options.warnings, _ended_by_signals():
            # warnings are collected while the command runs, so that it can write them to its JSON file
            code: int | None = options.run(options)
            # a broken pipe shows here, inside the try, rather than at exit
            sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        # with what was done, where the command says it
        return _failed(": ".join(["interrupted", *filter(None, map(str, stopped.args))]), options, INTERRUPTED)
    except BrokenPipeError:
        sys.stdout = None  # what read it is gone, as in `dsl fit ... | head`
        return DONE
    # mistakes of the caller, which the message explains: no traceback
    except (DSLError, OSError) as error:
        return _failed(f"error: {in_words_of(options.words, str(error), _said(options))}", options, WRONG)
    except Exception as error:
        return _failed(
            f"unexpected error: {type(error).__name__}: {error}\nThis should not happen; --debug shows where",
            options,
            BUG,
        )
    return DONE if code is None else code


def _said(options: argparse.Namespace) -> str:
    """The formula as the user wrote it, where the command has one."""
    return str(getattr(options, "formula", None) or "")


def _failed(message: str, options: argparse.Namespace, code: int) -> int:
    """Say what went wrong, and raise it again with --debug."""
    if options.debug and code != INTERRUPTED:
        import traceback

        # printed rather than raised, so that the exit code stays the same
        traceback.print_exc()
    print(f"dsl {options.shown}: {message}", file=sys.stderr)
    return code


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Leave by an exception where the process is asked to end, so that drafts of files are removed."""

    def leave(number: int, frame: object) -> None:
        # once is enough: a second signal would interrupt the cleaning up
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(SIGNALLED + number)

    # signals that are ignored (nohup) or taken by somebody else stay so. Only the main thread may set them
    chosen = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    mine = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in chosen if mine and signal.getsignal(each) is signal.SIG_DFL}
    for each in before:
        signal.signal(each, leave)
    try:
        yield
    finally:
        for each, old in before.items():
            signal.signal(each, old)


@contextmanager
def _printable() -> Iterator[None]:
    """Signs that stdout or stderr cannot write as escapes, rather than an error: not every terminal is UTF-8."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            # a pipe that was closed meanwhile cannot be set back
            with suppress(ValueError, OSError):
                stream.reconfigure(errors=errors)


@contextmanager
def _told(options: argparse.Namespace) -> Iterator[list[str]]:
    """Warnings of this package on stderr, one line each, and in the list that is handed out."""
    said: list[str] = []
    with warnings.catch_warnings():
        other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            # other packages' warnings keep their own way
            if not issubclass(category, DSLWarning):
                return other(message, category, *place, **more)
            text = in_words_of(options.words, str(message), _said(options))
            said.append(f"{category.__name__}: {text}")
            if not options.quiet:
                print(f"dsl: warning: {text}", file=sys.stderr)
            return None

        warnings.simplefilter("always", DSLWarning)
        warnings.showwarning = show
        yield said
