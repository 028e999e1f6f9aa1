"""The command line. Results on stdout, every other word on stderr, documented exit codes.

Rooms are imported inside the command that needs them, so that `--help` is quick and a missing
extra is one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from fotapool.cli._options import (
    COULD_NOT,
    DONE,
    INTERRUPTED,
    UNREAD,
    USAGE,
    OutputUnread,
    heard_or_not,
    note,
    told_if_lost,
)
from fotapool.cli.admin import admin
from fotapool.cli.demo import demo
from fotapool.cli.emulate import emulate
from fotapool.cli.emulator import emulator
from fotapool.cli.remote import as_of, history, refusals, undo
from fotapool.cli.serve import serve
from fotapool.model import ConfigurationError, FotapoolError, Refused

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (click.UsageError, USAGE),
    (ConfigurationError, USAGE),
    (click.Abort, INTERRUPTED),
    (KeyboardInterrupt, INTERRUPTED),
    (OutputUnread, UNREAD),
)
"""What an error means to a script; any other is COULD_NOT."""

TRACEBACK = "FOTAPOOL_TRACEBACK"

EPILOG = """\
\b
Exit codes: 0 done, 1 some devices refused, 2 usage, 3 could not, 4 a ledger is not sound,
130 interrupted, 141 nobody read the output.
Every option is also an environment variable: --log-format is FOTAPOOL_LOG_FORMAT.
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fotapool", prog_name="fotapool")
def cli() -> None:
    """Pools of FOTA licenses: a server, its administration, and questions to one."""


cli.add_command(serve)
cli.add_command(admin)
cli.add_command(demo)
cli.add_command(emulate)
cli.add_command(emulator)
cli.add_command(history)
cli.add_command(as_of)
cli.add_command(refusals)
cli.add_command(undo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; whatever goes wrong is one line on stderr."""
    try:
        code = _run(arguments)
        with told_if_lost():
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(TRACEBACK):
            raise
        return _tell(error)
    return code if isinstance(code, int) else DONE


def _run(arguments: Sequence[str] | None) -> object:
    try:
        return cli.main(arguments, prog_name="fotapool", standalone_mode=False)
    except SystemExit:
        # So click ends where the reader of `--help` has gone, and in no other case.
        with told_if_lost():
            raise BrokenPipeError from None


def _tell(error: BaseException) -> int:
    """Say what went wrong; gives the exit code that it means."""
    if isinstance(error, click.ClickException):
        with heard_or_not():
            error.show()
    elif not isinstance(error, OutputUnread):
        note(f"fotapool: {_message(error)}")
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), COULD_NOT)


def _message(error: BaseException) -> str:
    if isinstance(error, Refused):
        return _refusal(error)
    if isinstance(error, FotapoolError):
        return str(error)
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "interrupted"
    if isinstance(error, ModuleNotFoundError):
        extra = {"rich": "cli", "cryptography": "proof"}.get(str(error.name), "server")
        return f'this needs {error.name}; install it with: pip install "fotapool[{extra}]"'
    return f"internal error: {type(error).__name__}: {error}; {TRACEBACK}=1 shows where"


def _refusal(refused: Refused) -> str:
    """A refusal of the ledger, in the words that the API has for it."""
    from fotapool.wire.errors import ERRORS

    row = ERRORS[refused.refusal]
    return (row.own_message or row.message).format_map(refused.named)
