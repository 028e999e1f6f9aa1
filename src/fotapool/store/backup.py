"""A copy of a live SQLite database, as it was at one moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from fotapool.model import AlreadyExists, StoreUnusable
from fotapool.store.sqlite_errors import in_our_words
from fotapool.store.sqlite_file import opened_for_reading

PAGES_AT_ONCE = 4096


def copy_file(path: Path, target: Path, progress: Callable[[int, int], None]) -> int:
    """Copy a database that may be served and written meanwhile; gives the bytes of the copy.

    The copy is of one moment, checked, and appears under its name only once it is whole.
    `progress` is told the pages copied and their number. Raises AlreadyExists where the target
    is there, StoreUnusable where it cannot be written, StoreError.
    """
    if target.exists():
        raise AlreadyExists(f"{target} exists already; give another name")
    half = target.with_name(f"{target.name}.part")
    try:
        with opened_for_reading(path) as source:
            # One long read: the snapshot stands still, and writers go on in the log beside it.
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM migration").fetchone()
            _copy(source, half, progress)
        half.replace(target)
    except sqlite3.Error as error:
        raise in_our_words(error) from error
    except OSError as error:
        raise StoreUnusable(f"{target}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: sqlite3.Connection, half: Path, progress: Callable[[int, int], None]) -> None:
    os.close(os.open(half, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(half)) as copy:
        source.backup(
            copy,
            pages=PAGES_AT_ONCE,
            progress=lambda _status, left, total: progress(total - left, total),
        )
        # A copy is one file: nothing of it may lie in a log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        ((told,),) = copy.execute("PRAGMA quick_check(1)").fetchall()
    if told != "ok":
        raise StoreUnusable(f"the copy is not sound: {told}")
    with half.open("rb+") as file:
        os.fsync(file.fileno())
