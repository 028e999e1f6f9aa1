"""What can be read of pools in SQLite, on one connection and so in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import msgspec

from fotapool.model import (
    IMEI_DIGITS,
    Account,
    AccountKey,
    AccountSummary,
    Change,
    ChangeFilter,
    Cursor,
    DeviceList,
    Entry,
    Examined,
    Facts,
    Interval,
    License,
    NotFound,
    Page,
    PurchaseType,
    StoreDamaged,
    Totals,
    Verb,
)
from fotapool.store import statements as sql
from fotapool.store.sqlite_directory import SqliteDirectory

_numbers = msgspec.json.Decoder(list[int])
_sets = msgspec.json.Decoder(frozenset[int])
_to_json = msgspec.json.Encoder().encode


class SqliteSnapshot(SqliteDirectory):
    """What the ledger's `Snapshot` and auth's `Directory` promise, in SQL."""

    def account(self, account_id: int) -> Account:
        row = self._connection.execute(sql.ACCOUNT, (account_id,)).fetchone()
        if row is None:
            raise NotFound(f"account {account_id} is not in this database")
        total, used, overhang, active, sequence, changed_at_ms, head = row
        return Account(
            account_id, Totals(total, used, overhang), bool(active), sequence, changed_at_ms, head
        )

    def summary(self, account: AccountKey) -> AccountSummary:
        """An account as an operator lists it."""
        row = self._connection.execute(sql.ACCOUNT_SUMMARY, (account.id,)).fetchone()
        purchase_type, active, total, used, overhang = row
        return AccountSummary(
            account, PurchaseType(purchase_type), bool(active), Totals(total, used, overhang)
        )

    def gather(self, account_id: int, imeis: Sequence[int]) -> Facts:
        row = self._connection.execute(sql.FACTS, (array(imeis), account_id, account_id)).fetchone()
        return Facts(*map(_sets.decode, row))

    def page(self, account: AccountKey, cursor: Cursor, size: int) -> Page:
        row = _page_row(self._connection, account.id, cursor, size + 1)
        if row is None:
            raise NotFound(f"account {account.name} is not in this database")
        total, used, overhang, sequence, known, imeis_json, times_json = row
        imeis, times = _numbers.decode(imeis_json), _numbers.decode(times_json)
        return Page(
            account=account,
            totals=Totals(total, used, overhang),
            sequence=sequence,
            imeis=imeis[:size],
            assigned_at_ms=times[:size],
            more=len(imeis) > size,
            cursor=cursor,
            cursor_known=bool(known) or cursor.imei is None,
        )

    def changes(self, account: AccountKey, after: int, count: int) -> list[Change]:
        rows = self._connection.execute(sql.CHANGES_AFTER, (account.id, after, count))
        return [_change(account, row) for row in rows]

    def licenses(self, account_id: int, after: int, until: int | None, count: int) -> list[License]:
        rows = self._connection.execute(
            sql.LICENSES_BETWEEN, (account_id, after, _upto(until), count)
        )
        return [License(*row) for row in rows]

    def intervals(
        self, account_id: int, after: tuple[int, int], until: int | None, count: int
    ) -> list[Interval]:
        rows = self._connection.execute(
            sql.SPANS_BETWEEN, (account_id, *after, _upto(until), count)
        )
        return [Interval(*row) for row in rows]

    def entries(
        self,
        account: AccountKey,
        sequences: range,
        wanted: ChangeFilter,
        count: int,
        *,
        newest_first: bool = True,
    ) -> list[Entry]:
        outcome = None if wanted.outcome is None else bytes([wanted.outcome])
        device = None if wanted.imei is None else wanted.imei.to_bytes(8, "big")
        asked = (account.id, sequences.start, sequences.stop - 1, wanted.verb, wanted.actor)
        cursor = self._connection.execute(
            sql.ENTRIES_NEWEST if newest_first else sql.ENTRIES_OLDEST,
            (*asked, outcome, outcome, device, device),
        )
        with closing(cursor):
            entries = (_entry(account, row) for row in cursor)
            return list(islice((entry for entry in entries if self._fits(entry, wanted)), count))

    def _fits(self, entry: Entry, wanted: ChangeFilter) -> bool:
        """Whether the device is named at its place, and got the outcome there."""
        imei, outcome = wanted.imei, wanted.outcome
        if imei is None:
            return True
        packed, outcomes = self._connection.execute(
            sql.DEVICES_OF, (entry.account.id, entry.sequence)
        ).fetchone()
        imeis = DeviceList.unpack(packed, len(outcomes)).imeis
        return any(
            named == imei and outcome in (None, verdict)
            for named, verdict in zip(imeis, outcomes, strict=True)
        )

    def entries_of(self, account: AccountKey, sequences: Sequence[int]) -> dict[int, Entry]:
        rows = self._connection.execute(sql.ENTRIES_OF, (account.id, array(sequences)))
        return {row[0]: _entry(account, row) for row in rows}

    def time_of(self, account_id: int, sequence: int) -> int:
        row = self._connection.execute(sql.TIME_OF, (account_id, sequence)).fetchone()
        if row is None:
            raise StoreDamaged(f"change {sequence} of account {account_id} is not there")
        return int(row[0])

    def knows(self, account_id: int, imei: int) -> bool:
        (found,) = self._connection.execute(sql.KNOWS, (account_id, imei)).fetchone()
        return bool(found)

    def licenses_at(self, account_id: int, sequence: int, after: int, count: int) -> Examined:
        row = self._connection.execute(
            sql.LICENSES_AT, (sequence, sequence, account_id, after, count)
        ).fetchone()
        return _examined(row, count)

    def intervals_at(self, account_id: int, sequence: int, after: int, count: int) -> Examined:
        a = account_id
        row = self._connection.execute(
            sql.SPANS_AT, (a, after, a, count, sequence, sequence, a, a, sequence)
        ).fetchone()
        return _examined(row, count)

    def damage(self) -> str:
        (told,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        return "" if told == "ok" else str(told)


def _upto(imei: int | None) -> int:
    return 10**IMEI_DIGITS if imei is None else imei


def array(values: Sequence[int] | Sequence[str]) -> str:
    """A list as SQL takes it: one JSON text."""
    return _to_json(values).decode()


def _page_row(connection: sqlite3.Connection, account_id: int, cursor: Cursor, rows: int) -> Any:
    if cursor.offset is not None:
        query = connection.execute(sql.PAGE_AT, (account_id, rows, cursor.offset, account_id))
    else:
        after = -1 if cursor.imei is None else cursor.imei
        query = connection.execute(
            sql.PAGE_AFTER, (account_id, after, account_id, after, rows, account_id)
        )
    return query.fetchone()


def _examined(row: Any, count: int) -> Examined:
    imeis, times, looked_at, last = row
    until = last if looked_at == count else None
    return Examined(_numbers.decode(imeis), _numbers.decode(times), until)


def _entry(account: AccountKey, row: Any) -> Entry:
    """A stored change without its devices. Raises StoreDamaged for a row none ever made."""
    sequence, at_ms, actor, request_id, verb, outcomes, *totals, detail, hashed = row
    try:
        return Entry(
            account=account,
            sequence=sequence,
            at_ms=at_ms,
            actor=actor,
            request_id=request_id,
            verb=Verb(verb),
            outcomes=outcomes,
            totals=Totals(*totals),
            detail=detail,
            hash=hashed,
        )
    except (TypeError, ValueError) as error:
        raise StoreDamaged(f"change {sequence} of {account.name}: {error}") from error


def _change(account: AccountKey, row: Any) -> Change:
    """A stored change. Raises StoreDamaged for a row that no change ever made."""
    sequence, at_ms, actor, request_id, verb, packed, outcomes, *totals, detail, hashed = row
    try:
        return Change(
            account=account,
            sequence=sequence,
            at_ms=at_ms,
            actor=actor,
            request_id=request_id,
            verb=Verb(verb),
            devices=DeviceList.unpack(packed, len(outcomes)),
            packed=packed,
            outcomes=outcomes,
            totals=Totals(*totals),
            detail=detail,
            hash=hashed,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreDamaged(f"change {sequence} of {account.name}: {error}") from error
