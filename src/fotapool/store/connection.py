"""How the store's classes speak to an engine, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol


class Contradicted(Exception):
    """The tables refuse what was decided, or hold other rows: a defect, and nothing was done."""


class Connection(Protocol):
    """A connection inside a transaction. Statements are written once (`dialect`).

    Raises StoreError, and Contradicted where a constraint of the schema is broken.
    """

    def rows(self, statement: str, *values: object) -> Sequence[Any]:
        """All that a statement finds, or gives back of what it wrote."""
        ...

    def each(self, statement: str, *values: object) -> Iterator[Any]:
        """The same, a row at a time, however many there are."""
        ...

    def write(self, statement: str, *values: object, rows: int | None = None) -> None:
        """Write; where `rows` is given, so many exactly, or Contradicted before the commit."""
        ...

    def write_each(
        self, statement: str, values: Iterable[Sequence[object]], *, rows: int | None = None
    ) -> None:
        """The same statement once for each of these values; `rows` is the sum."""
        ...

    def array(self, values: Sequence[int]) -> object:
        """A list of numbers as a statement takes it."""
        ...

    def texts(self, values: Sequence[str]) -> object:
        """A list of texts as a statement takes it."""
        ...

    def numbers(self, value: Any) -> list[int]:
        """What `{list}` made of a column."""
        ...

    def damage(self) -> str:
        """What the engine's own check finds wrong with the database; empty for nothing."""
        ...

    def settle(self) -> None:
        """Wait until all that was sent is carried out, and hold it against what was decided."""
        ...

    @property
    def alive(self) -> bool:
        """False once the engine has thrown the transaction away by itself."""
        ...


ROWS_AT_ONCE = 64


@cache
def of_rows(statement: str, count: int) -> str:
    """An INSERT of one row of values as one of several.

    A statement for each row would cost a turn of the interpreter lock, or a message, a row.
    """
    into, values, row = statement.rstrip().rpartition("VALUES ")
    return into + values + ", ".join([row] * count)


def in_rows(
    statement: str, values: Iterable[Sequence[object]]
) -> Iterator[tuple[str, Sequence[object]]]:
    """Statements that write these rows, with their values; many rows at once where one can."""
    many = list(values)
    if "VALUES (" not in statement or "ON CONFLICT" in statement:
        yield from ((statement, row) for row in many)
        return
    for at in range(0, len(many), ROWS_AT_ONCE):
        some = many[at : at + ROWS_AT_ONCE]
        yield of_rows(statement, len(some)), [value for row in some for value in row]


def expect_rows(written: int, decided: int | None) -> None:
    """The decision and the tables must agree; the transaction ends here if they do not."""
    if decided is not None and written != decided:
        raise Contradicted(f"wrote {written} rows where {decided} were decided")
