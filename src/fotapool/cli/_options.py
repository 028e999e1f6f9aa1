"""What every command shares: options that are also variables, and output in two forms."""

from __future__ import annotations

import functools
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TextIO, TypeVar, cast

import click

from fotapool.model import ConfigurationError, FotapoolError, NotFound

if TYPE_CHECKING:
    from fotapool.model import AccountKey
    from fotapool.store import GroupedStore, Reader

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")

PROGRESS_EVERY_S = 2.0

DONE, SOME_REFUSED, USAGE, COULD_NOT, UNSOUND, INTERRUPTED, UNREAD = 0, 1, 2, 3, 4, 130, 141
"""Exit codes (docs/reference/cli.md)."""

PREFIX = "FOTAPOOL_"
DEFAULT_DB = "sqlite:///fotapool.db"
IN_MEMORY = "sqlite:///:memory:"


def clock() -> int:
    """The real time in milliseconds, which every other room takes as an argument."""
    return time.time_ns() // 1_000_000


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """A click option that is also the environment variable of its name."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = PREFIX + long.removeprefix("--").replace("-", "_").upper()
    settings.setdefault("show_default", True)
    return click.option(*names, envvar=variable, show_envvar=True, **settings)


def db_option(**settings: Any) -> Callable[[F], F]:
    settings = {
        "default": DEFAULT_DB,
        "metavar": "URL",
        "help": "The database: sqlite:///PATH (an absolute one has four slashes), or "
        "postgresql://USER@HOST/NAME.",
        **settings,
    }
    return option("--db", **settings)


def output_options(command: F) -> F:
    """`--output table|json`, and `--json` for short; the command is told `json`."""

    @functools.wraps(command)
    def told(*arguments: Any, output: str, as_json: bool, **named: Any) -> Any:
        return command(*arguments, json=as_json or output == "json", **named)

    output = option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        help="json puts exactly one JSON object on stdout.",
    )
    short = option("--json", "as_json", is_flag=True, help="Short for --output json.")
    return output(short(cast(F, told)))


class OutputLost(FotapoolError):
    """A result could not be printed. Whatever it tells of is done, as results come last."""


class OutputUnread(OutputLost):
    """Whoever read the output has gone, as `| head` does."""


def emit(text: str | bytes) -> None:
    """Print a result, or a line of one. Raises OutputLost."""
    with told_if_lost():
        click.echo(text)


@contextmanager
def told_if_lost() -> Iterator[None]:
    """What is printed inside may fail to be. Raises OutputLost."""
    try:
        yield
    except OSError as error:
        silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise OutputUnread("nobody reads the output any more") from error
        raise OutputLost(
            f"the output could not be written: {error.strerror or error}; "
            "a change that was asked for is made all the same"
        ) from error


def silence(stream: TextIO) -> None:
    """Let what is left in a stream's buffer go nowhere: it must not fail again at the exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def emit_json(result: Mapping[str, object]) -> None:
    """Print a result as one JSON object."""
    import msgspec

    emit(msgspec.json.format(msgspec.json.encode(result), indent=2))


def emit_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a result in aligned columns; numbers to the right."""
    texts = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[at], int) for row in rows) for at in range(len(columns))
    ]
    for line in [list(columns), *texts]:
        cells = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        emit("  ".join(cells).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def note(message: str) -> None:
    """A word to people, apart from results."""
    with heard_or_not():
        click.echo(message, err=True)


@contextmanager
def heard_or_not() -> Iterator[None]:
    """What is said inside on stderr may be heard by nobody; that stops no work."""
    try:
        yield
    except OSError:
        silence(sys.stderr)


def now_and_then(told: Callable[P, str]) -> Callable[P, None]:
    """Notes what a long job has come to, however often it is told."""
    noted_s = time.monotonic()

    def tell(*arguments: P.args, **named: P.kwargs) -> None:
        nonlocal noted_s
        if time.monotonic() - noted_s >= PROGRESS_EVERY_S:
            noted_s = time.monotonic()
            note(told(*arguments, **named))

    return tell


@contextmanager
def opened_store(url: str) -> Iterator[GroupedStore]:
    """The store of an administration command. Raises ConfigurationError, StoreError."""
    from fotapool.store import open_store

    if url == IN_MEMORY:
        raise ConfigurationError(
            "a database in memory ends with this command; give --db sqlite:///PATH"
        )
    store = open_store(url, clock=clock)
    try:
        yield store
    finally:
        store.close()


def find_account(store: GroupedStore | Reader, name: str) -> AccountKey:
    """An account by its name. Raises NotFound."""
    found = store.read(lambda snapshot: snapshot.find_account(name))
    if found is None:
        raise NotFound(f"there is no account {name}; see `fotapool admin account list`")
    return found


def actor() -> str:
    """Who is at the keyboard, for the ledger."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:{os.getuid()}" if hasattr(os, "getuid") else "cli:unknown"
