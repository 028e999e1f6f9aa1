"""What can be read of pools, on one connection and so in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from fotapool.model import (
    Account,
    AccountKey,
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
    Policy,
    PurchaseType,
    StoreDamaged,
    Totals,
    Verb,
)
from fotapool.store import statements as sql
from fotapool.store.life import StoredLife, bound, own

# What the columns of a stored row are, in the order that statements name them.
_ACCOUNT = (int, int, int, str, int, int, bytes, int, str, int, int, int)
_CHANGE = (int, int, str, bytes, int, bytes, bytes, int, int, int, str, bytes)
_ENTRY = (int, int, str, bytes, int, bytes, int, int, int, str, bytes)


class StoredSnapshot(StoredLife):
    """What the ledger's `Snapshot` and auth's `Directory` promise, in SQL."""

    def account(self, account_id: int) -> Account:
        return self._account(sql.ACCOUNT, account_id)

    def _account(self, statement: str, account_id: int) -> Account:
        rows = self._rows(statement, account_id)
        if not rows:
            raise NotFound(f"account {account_id} is not in this database")
        (
            total,
            used,
            overhang,
            purchase_type,
            sequence,
            changed_at_ms,
            head,
            active,
            policy,
            *more,
        ) = _typed(rows[0], _ACCOUNT)
        subscribed_at_ms, candidates, candidates_at_ms = more
        return Account(
            id=account_id,
            totals=Totals(total, used, overhang),
            purchase_type=PurchaseType(purchase_type),
            sequence=sequence,
            changed_at_ms=changed_at_ms,
            head=head,
            active=bool(active),
            policy=Policy(policy),
            subscribed_at_ms=subscribed_at_ms,
            candidates=candidates,
            candidates_at_ms=candidates_at_ms,
        )

    def gather(self, account_id: int, imeis: Sequence[int]) -> Facts:
        named = self._array(imeis)
        (found,) = self._rows(sql.FACTS, named, account_id, account_id)
        unknown, licensed, scheduled, running, upgraded = map(self._set, found)
        return Facts(unknown, licensed, scheduled, running, upgraded)

    def page(self, account: AccountKey, cursor: Cursor, size: int) -> Page:
        rows = self._page_rows(account.id, cursor, size + 1)
        if not rows:
            raise NotFound(f"account {account.name} is not in this database")
        total, used, overhang, sequence, known, *columns = rows[0]
        imeis, times = map(self.connection.numbers, columns)
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
        rows = self._rows(sql.CHANGES_AFTER, account.id, after, count)
        return [_change(account, row) for row in own(rows, account.id)]

    def licenses(
        self, account_id: int, after: int | None, until: int | None, count: int
    ) -> list[License]:
        rows = self._rows(
            sql.LICENSES_BETWEEN, account_id, bound(after, -1), bound(until, 1), count
        )
        return [License(*row) for row in own(rows, account_id)]

    def intervals(
        self, account_id: int, after: tuple[int | None, int], until: int | None, count: int
    ) -> list[Interval]:
        imei, sequence = after
        rows = self._rows(
            sql.SPANS_BETWEEN, account_id, bound(imei, -1), sequence, bound(until, 1), count
        )
        return [Interval(*row) for row in own(rows, account_id)]

    def has_account(self, account_id: int) -> bool:
        """Whether anything is stored of an account of this number, named or not."""
        ((found,),) = self._rows(sql.HAS_ACCOUNT, account_id, account_id)
        return bool(found)

    def entries(
        self,
        account: AccountKey,
        sequences: range,
        wanted: ChangeFilter,
        count: int,
        *,
        newest_first: bool = True,
    ) -> list[Entry]:
        verb = None if wanted.verb is None else int(wanted.verb)
        outcome = None if wanted.outcome is None else bytes([wanted.outcome])
        device = None if wanted.imei is None else wanted.imei.to_bytes(8, "big")
        asked = (account.id, sequences.start, sequences.stop - 1, verb, wanted.actor)
        statement = sql.ENTRIES_NEWEST if newest_first else sql.ENTRIES_OLDEST
        rows = self.connection.each(statement, *asked, outcome, outcome, device, device)
        entries = (_entry(account, row) for row in rows)
        return list(islice((entry for entry in entries if self._fits(entry, wanted)), count))

    def _fits(self, entry: Entry, wanted: ChangeFilter) -> bool:
        """Whether the device is named at its place, and got the outcome there."""
        imei, outcome = wanted.imei, wanted.outcome
        if imei is None:
            return True
        ((packed, outcomes),) = self._rows(sql.DEVICES_OF, entry.account.id, entry.sequence)
        imeis = DeviceList.unpack(packed, len(outcomes)).imeis
        return any(
            named == imei and outcome in (None, verdict)
            for named, verdict in zip(imeis, outcomes, strict=True)
        )

    def entries_of(self, account: AccountKey, sequences: Sequence[int]) -> dict[int, Entry]:
        rows = self._rows(sql.ENTRIES_OF, account.id, self._array(sequences))
        found = {row[0]: _entry(account, row) for row in rows}
        for missing in set(sequences) - set(found):
            raise StoreDamaged(f"change {missing} of {account.name} is not there")
        return found

    def changes_of(self, account: AccountKey, sequences: Sequence[int]) -> dict[int, Change]:
        rows = self._rows(sql.CHANGES_OF, account.id, self._array(sequences))
        changes = {row[0]: _change(account, row) for row in own(rows, account.id)}
        for missing in set(sequences) - set(changes):
            raise StoreDamaged(f"change {missing} of {account.name} is not there")
        return changes

    def verdicts_in(self, account_id: int, sequences: Sequence[int]) -> int:
        ((count,),) = self._rows(sql.VERDICTS_IN, account_id, self._array(sequences))
        return int(count)

    def time_of(self, account_id: int, sequence: int) -> int:
        rows = self._rows(sql.TIME_OF, account_id, sequence)
        if not rows:
            raise StoreDamaged(f"change {sequence} of account {account_id} is not there")
        return int(rows[0][0])

    def knows(self, account_id: int, imei: int) -> bool:
        ((found,),) = self._rows(sql.KNOWS, account_id, imei)
        return bool(found)

    def licenses_at(self, account_id: int, sequence: int, after: int, count: int) -> Examined:
        (row,) = self._rows(sql.LICENSES_AT, sequence, sequence, account_id, after, count)
        return self._examined(row, count)

    def intervals_at(self, account_id: int, sequence: int, after: int, count: int) -> Examined:
        a = account_id
        (row,) = self._rows(sql.SPANS_AT, a, after, a, count, sequence, sequence, a, a, sequence)
        return self._examined(row, count)

    def damage(self) -> str:
        return self.connection.damage()

    def _page_rows(self, account_id: int, cursor: Cursor, count: int) -> Sequence[Any]:
        if cursor.offset is not None:
            return self._rows(sql.PAGE_AT, account_id, count, cursor.offset, account_id)
        after = -1 if cursor.imei is None else cursor.imei
        asked = account_id, after, account_id, after, count, account_id
        return self._rows(sql.PAGE_AFTER, *asked)

    def _examined(self, row: Any, count: int) -> Examined:
        imeis, times, looked_at, last = row
        until = last if looked_at == count else None
        numbers = self.connection.numbers
        return Examined(numbers(imeis), numbers(times), until)


def _typed(row: tuple[Any, ...], kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """The row, if its columns are what the schema says. Raises StoreDamaged."""
    if tuple(map(type, row)) != kinds:
        raise StoreDamaged(f"a stored row has other columns than it was written with: {row!r}")
    return row


def _entry(account: AccountKey, row: Any) -> Entry:
    """A stored change without its devices. Raises StoreDamaged for a row none ever made."""
    sequence, at_ms, actor, request_id, verb, outcomes, *totals, detail, hashed = _typed(
        row, _ENTRY
    )
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
    except ValueError as error:
        raise StoreDamaged(f"change {sequence} of {account.name}: {error}") from error


def _change(account: AccountKey, row: Any) -> Change:
    """A stored change. Raises StoreDamaged for a row that no change ever made."""
    sequence, at_ms, actor, request_id, verb, packed, outcomes, *totals, detail, hashed = _typed(
        row, _CHANGE
    )
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
    except ValueError as error:
        raise StoreDamaged(f"change {sequence} of {account.name}: {error}") from error
