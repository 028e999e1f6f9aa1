"""What SQLite raises, in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from fotapool.model import StoreBusy, StoreDamaged, StoreError
from fotapool.store.connection import Contradicted


def in_our_words(error: sqlite3.Error) -> Exception:
    """What an error of the engine means to the store's callers."""
    if isinstance(error, sqlite3.IntegrityError):
        return Contradicted(f"the tables refuse what was decided: {error}")
    if is_busy(error):
        return StoreBusy("another process holds the database; nothing was done")
    # A plain error: a table or a column of a statement of ours is not there.
    if _name(error) == "SQLITE_ERROR" or is_damage(error):
        return StoreDamaged(f"the database is damaged: {error}")
    return StoreError(f"the database could not do it ({error}); nothing was done")


@contextmanager
def errors_mapped() -> Iterator[None]:
    """Turn what SQLite raises into our words; the cause is kept."""
    try:
        yield
    except sqlite3.Error as error:
        raise in_our_words(error) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds what is needed."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file's content that the engine stumbled over."""
    return _name(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_unsynced(error: BaseException | None) -> bool:
    """Whether all was written, and only the disk would not vouch for it."""
    return _name(error) == "SQLITE_IOERR_FSYNC"


def _name(error: BaseException | None) -> str:
    name: str = getattr(error, "sqlite_errorname", "")
    return name


def read_text(raw: bytes) -> str:
    """A text as it was stored. Raises StoreDamaged where it cannot have been stored like that."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise StoreDamaged(f"a stored text is no UTF-8: {error}") from error
