"""What PostgreSQL raises, in our words."""

from __future__ import annotations

import psycopg
from psycopg import errors

from fotapool.model import StoreBusy, StoreDamaged, StoreError
from fotapool.store.connection import Contradicted

_DAMAGE = (
    errors.DataCorrupted,
    errors.IndexCorrupted,
    # A table or a column of a statement of ours is not there.
    errors.UndefinedTable,
    errors.UndefinedColumn,
)
_BUSY = (
    errors.LockNotAvailable,
    errors.TooManyConnections,
    # Reached a standby: the primary is another, or there is none at the moment.
    errors.ReadOnlySqlTransaction,
)


def in_our_words(error: psycopg.Error) -> Exception:
    """What an error of the engine means to the store's callers."""
    told = first_line(error)
    if isinstance(error, psycopg.IntegrityError):
        return Contradicted(f"the tables refuse what was decided: {told}")
    if isinstance(error, _DAMAGE):
        return StoreDamaged(f"the database is damaged: {told}")
    if isinstance(error, _BUSY):
        return StoreBusy(f"the database is busy ({told}); nothing was done")
    return StoreError(f"the database could not do it ({told}); nothing was done")


def first_line(error: BaseException) -> str:
    """What the database said, without the lines that point into a statement."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
