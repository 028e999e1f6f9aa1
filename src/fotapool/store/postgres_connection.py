"""PostgreSQL's side of `Connection`: prepared statements, binary values, few round trips."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Dumper
from psycopg.pq import Format, TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from fotapool.store.connection import expect_rows, in_rows
from fotapool.store.dialect import POSTGRES
from fotapool.store.postgres_errors import in_our_words


@cache
def _text(statement: str) -> bytes:
    return POSTGRES.render(statement).encode()


_INT8, _INT8_ARRAY = 20, 1016
"""Numbers of the types, which no server may change."""

FETCHED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Numbers:
    """A list of numbers on its way into a statement."""

    values: Sequence[int]


class _NumbersDumper(Dumper):
    """A `bigint[]` packed in one go: value by value it would cost more than the query."""

    format = Format.BINARY
    oid = _INT8_ARRAY

    def dump(self, obj: Numbers) -> Buffer:
        count = len(obj.values)
        if not count:
            return struct.pack(">3i", 0, 0, _INT8)
        sized = [8] * (2 * count)
        sized[1::2] = obj.values
        return struct.pack(">5i" + "iq" * count, 1, 0, _INT8, count, 1, *sized)


ADAPTERS = AdaptersMap(psycopg.adapters)
# One width for every number: by its size, each statement would be prepared many times over.
ADAPTERS.register_dumper(int, Int8BinaryDumper)
ADAPTERS.register_dumper(Numbers, _NumbersDumper)


class PostgresConnection:
    """What the store's classes need of a connection, over psycopg's.

    As it begins, statements go out without waiting for one another: only what is read is waited
    for. `settle` waits for all of it, and ends this way of sending.
    """

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw
        self._pipeline = raw.pipeline()
        self._sent: list[tuple[list[psycopg.Cursor[Any]], int]] | None = []
        self._forgives = False
        self._pipeline.__enter__()

    def forgive(self) -> None:
        """From here on what cannot be read leaves the rest of the snapshot to be read."""
        self.settle()
        self.write("SAVEPOINT sound")
        self._forgives = True

    def rows(self, statement: str, *values: object) -> Sequence[Any]:
        try:
            return self._execute(statement, values).fetchall()
        except psycopg.Error as error:
            if self._forgives and self.alive:
                self.write("ROLLBACK TO sound")
            raise in_our_words(error) from error

    def each(self, statement: str, *values: object) -> Iterator[Any]:
        self.settle()
        try:
            with psycopg.RawServerCursor(self.raw, "each") as cursor:
                cursor.itersize = FETCHED_AT_ONCE
                cursor.execute(_text(statement), values, binary=True)
                yield from cursor
        except psycopg.Error as error:
            raise in_our_words(error) from error

    def write(self, statement: str, *values: object, rows: int | None = None) -> None:
        self._write([(statement, values)], rows)

    def write_each(
        self, statement: str, values: Iterable[Sequence[object]], *, rows: int | None = None
    ) -> None:
        self._write(in_rows(statement, values), rows)

    def _write(self, statements: Iterable[tuple[str, Sequence[object]]], rows: int | None) -> None:
        try:
            cursors = [self._execute(statement, values) for statement, values in statements]
        except psycopg.Error as error:
            raise in_our_words(error) from error
        if rows is None:
            return
        if self._sent is None:
            expect_rows(sum(cursor.rowcount for cursor in cursors), rows)
        else:
            self._sent.append((cursors, rows))

    def _execute(self, statement: str, values: Sequence[object]) -> psycopg.Cursor[Any]:
        return self.raw.cursor(binary=True).execute(_text(statement), values, prepare=True)

    def settle(self) -> None:
        """Wait until all that was sent is carried out, and hold it against what was decided."""
        if self._sent is None:
            return
        sent, self._sent = self._sent, None
        try:
            self._pipeline.__exit__(None, None, None)
        except psycopg.Error as error:
            raise in_our_words(error) from error
        for cursors, rows in sent:
            expect_rows(sum(cursor.rowcount for cursor in cursors), rows)

    def abandon(self) -> None:
        """Undo what was done, as far as there is a connection left to undo it on."""
        if self._sent is not None:
            self._sent = None
            with suppress(psycopg.Error):
                self._pipeline.__exit__(None, None, None)
        with suppress(psycopg.Error):
            self.raw.rollback()

    def array(self, values: Sequence[int]) -> object:
        return Numbers(values)

    def texts(self, values: Sequence[str]) -> object:
        return list(values)

    def numbers(self, value: Any) -> list[int]:
        return value or []

    def damage(self) -> str:
        """Nothing: the server checks its pages by itself, with `pg_amcheck` for its indexes."""
        return ""

    @property
    def alive(self) -> bool:
        return self.raw.info.transaction_status in (
            TransactionStatus.INTRANS,
            TransactionStatus.INERROR,
        )
