"""Many devices at once: reading fleet files.

A fleet file holds one IMEI a line, or is a CSV with a header. Blanks and an `IMEI:` prefix are
stripped; everything else about an IMEI must be right, and a row that is not says where and why.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from fotapool.model import FleetFileError, parse_imei

STDIN = "-"
ENCODING = "utf-8-sig"
"""UTF-8, with or without the mark that spreadsheets put before it."""

_COLUMNS = ("imei", "imeinumber", "imeino", "imei1", "deviceimei", "deviceid")
_DELIMITERS = ",;\t"
_PREFIX = re.compile(r"imei:", re.IGNORECASE)
_ROUNDED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+", re.IGNORECASE)


class RowProblem(Enum):
    """Why a row of a fleet file is refused. The member's name is a stable code."""

    IMEI_MISSING = "no IMEI in this row"
    IMEI_14_DIGITS = "14 digits, an IMEI has 15; the check digit is missing and is not guessed"
    IMEI_16_DIGITS = "16 digits, an IMEI has 15; this may be an IMEISV"
    IMEI_ROUNDED = "rounded by a spreadsheet; format the column as text and export it again"
    IMEI_MALFORMED = "not 15 digits"

    @property
    def code(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A row that names a device."""

    line: int
    imei: int


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that does not: its line, what stood there, and why that is no IMEI."""

    line: int
    text: str
    problem: RowProblem


def read_fleet(source: str) -> Iterator[FleetRow | BadRow]:
    """The rows of a fleet file, in order and as they are read; `-` is standard input.

    Raises FleetFileError, before or amid the rows, for a file that cannot be read on.
    """
    with _opened(source) as lines:
        yield from read_rows(lines, source)


def read_rows(lines: Iterable[str], source: str) -> Iterator[FleetRow | BadRow]:
    """The same for lines that are open already; `source` is their name in messages."""
    counted = _Counted(lines)
    try:
        first = next((line for line in counted if line.strip()), None)
        if first is None:
            raise FleetFileError(f"{source} is empty; give one IMEI a line, or a CSV with a header")
        delimiter = max(_DELIMITERS, key=first.count)
        header = next(csv.reader([first], delimiter=delimiter, strict=True))
        column = _find_column(header)
        if column is None:
            if len(header) > 1:
                raise FleetFileError(
                    f"{source}, line {counted.line}: several columns and no header; "
                    "add a header line with a column named imei"
                )
            yield _read_cell(header[0], counted.line)
        rows = csv.reader(counted, delimiter=delimiter, strict=True)
        for cells in rows:
            if any(map(str.strip, cells)):
                cell = cells[column or 0] if len(cells) > (column or 0) else ""
                yield _read_cell(cell, counted.line)
    except UnicodeDecodeError as error:
        raise FleetFileError(
            f"{source}, after line {counted.line}: not UTF-8 text; save the file as UTF-8 CSV"
        ) from error
    except csv.Error as error:
        raise FleetFileError(
            f"{source}, line {counted.line}: not readable as CSV: {error}"
        ) from error


class _Counted:
    """Lines, and the number of the last one given."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.line = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        text = next(self._lines)
        self.line += 1
        return text


@contextmanager
def _opened(source: str) -> Iterator[Iterable[str]]:
    if source == STDIN:
        sys.stdin.reconfigure(encoding=ENCODING)  # type: ignore[union-attr]
        yield sys.stdin
        return
    try:
        file = Path(source).open(encoding=ENCODING, newline="")  # noqa: SIM115 -- closed below
    except OSError as error:
        raise FleetFileError(f"{source}: {error.strerror or error}") from error
    with file:
        yield file


def _find_column(header: list[str]) -> int | None:
    """Where the IMEIs stand, by the name of the column; None when there is no such header."""
    names = ["".join(filter(str.isalnum, cell.lower())) for cell in header]
    return next((names.index(known) for known in _COLUMNS if known in names), None)


def _read_cell(cell: str, line: int) -> FleetRow | BadRow:
    text = "".join(cell.split())
    if prefix := _PREFIX.match(text):
        text = text[prefix.end() :]
    imei = parse_imei(text)
    return BadRow(line, cell.strip(), _find_problem(text)) if imei is None else FleetRow(line, imei)


def _find_problem(text: str) -> RowProblem:
    if not text:
        return RowProblem.IMEI_MISSING
    if _ROUNDED.fullmatch(text):
        return RowProblem.IMEI_ROUNDED
    if text.isascii() and text.isdigit() and len(text) in (14, 16):
        return RowProblem.IMEI_14_DIGITS if len(text) == 14 else RowProblem.IMEI_16_DIGITS
    return RowProblem.IMEI_MALFORMED
