"""SQLite's side of `Connection`: lists go in and come out as one JSON text each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from typing import Any, TypeVar

import msgspec

from fotapool.store.connection import expect_rows, in_rows
from fotapool.store.dialect import SQLITE
from fotapool.store.snapshot import StoredSnapshot
from fotapool.store.sqlite_errors import in_our_words

T = TypeVar("T")

_numbers = msgspec.json.Decoder(list[int])
_to_json = msgspec.json.Encoder().encode
_text = cache(SQLITE.render)


class SqliteConnection:
    """What the store's classes need of a connection, over the standard library's."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def rows(self, statement: str, *values: object) -> Sequence[Any]:
        try:
            return self.raw.execute(_text(statement), values).fetchall()
        except sqlite3.Error as error:
            raise in_our_words(error) from error

    def each(self, statement: str, *values: object) -> Iterator[Any]:
        try:
            with closing(self.raw.execute(_text(statement), values)) as cursor:
                yield from cursor
        except sqlite3.Error as error:
            raise in_our_words(error) from error

    def write(self, statement: str, *values: object, rows: int | None = None) -> None:
        try:
            written = self.raw.execute(_text(statement), values).rowcount
        except sqlite3.Error as error:
            raise in_our_words(error) from error
        expect_rows(written, rows)

    def write_each(
        self, statement: str, values: Iterable[Sequence[object]], *, rows: int | None = None
    ) -> None:
        written = 0
        try:
            for text, flat in in_rows(statement, values):
                written += self.raw.execute(_text(text), flat).rowcount
        except sqlite3.Error as error:
            raise in_our_words(error) from error
        expect_rows(written, rows)

    def array(self, values: Sequence[int]) -> object:
        return _to_json(values).decode()

    def texts(self, values: Sequence[str]) -> object:
        return _to_json(values).decode()

    def numbers(self, value: Any) -> list[int]:
        return _numbers.decode(value)

    def damage(self) -> str:
        # The full check: the quick one passes over rows that lie out of order.
        ((told,),) = self.rows("PRAGMA integrity_check(1)")
        return "" if told == "ok" else str(told)

    def settle(self) -> None:
        """Nothing: a statement is carried out as it is written."""

    @property
    def alive(self) -> bool:
        # Disk full and I/O errors end the transaction by themselves.
        return self.raw.in_transaction


class SqliteReader:
    """A database opened for reading alone: it changes nothing, and a writer may go on."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        """Run a job that only reads, in one snapshot. Raises StoreError."""
        return in_snapshot(self._raw, job)


def in_snapshot(raw: sqlite3.Connection, job: Callable[[StoredSnapshot], T]) -> T:
    """Run a job that only reads; all it sees is of one moment."""
    connection = SqliteConnection(raw)
    connection.write("BEGIN")
    try:
        return job(StoredSnapshot(connection))
    finally:
        if connection.alive:
            connection.write("ROLLBACK")
