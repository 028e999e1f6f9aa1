"""What SQLite raises, in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from fotapool.model import StoreBusy, StoreDamaged, StoreError


@contextmanager
def errors_mapped() -> Iterator[None]:
    """Turn what SQLite raises into our words; the cause is kept."""
    try:
        yield
    except sqlite3.IntegrityError:
        # A CHECK refused what was decided: a defect, not a condition to be waited out.
        raise
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StoreBusy("another process holds the database; nothing was done") from error
        # A plain error: a table or a column of a statement of ours is not there.
        if name == "SQLITE_ERROR" or is_damage(error):
            raise StoreDamaged(f"the database is damaged: {error}") from error
        raise StoreError(f"the database could not do it ({error}); nothing was done") from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file's content that the engine stumbled over."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def read_text(raw: bytes) -> str:
    """A text as it was stored. Raises StoreDamaged where it cannot have been stored like that."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise StoreDamaged(f"a stored text is no UTF-8: {error}") from error
