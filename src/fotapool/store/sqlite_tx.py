"""A write transaction in SQLite: what the ledger's `Tx` and auth's `Directory` promise, in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fotapool.model import (
    Account,
    AccountKey,
    AlreadyExists,
    Change,
    IdempotencyKey,
    KeyUse,
    PurchaseType,
    Step,
    UpgradePlan,
)
from fotapool.store import statements as sql
from fotapool.store import statements_directory as directory
from fotapool.store import statements_life as life
from fotapool.store.sqlite_errors import errors_mapped
from fotapool.store.sqlite_life import array
from fotapool.store.sqlite_snapshot import SqliteSnapshot

FEW = 8
"""Up to this many devices, a row at a time is faster than a set-based statement."""
DEVICES_AT_ONCE = 10_000


class SqliteTx(SqliteSnapshot):
    """A write transaction: what the ledger's `Tx` and auth's `Directory` promise, in SQL."""

    def grant(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        if len(imeis) <= FEW:
            cursor = self._connection.executemany(
                sql.LICENSE_INSERT_ONE, [(account_id, imei, at_ms, sequence) for imei in imeis]
            )
        else:
            cursor = self._connection.execute(
                sql.LICENSE_INSERT, (account_id, at_ms, sequence, array(sorted(imeis)))
            )
        _expect_rows(cursor, imeis)
        if imeis:
            self._connection.execute(sql.GRANTED_INSERT, (account_id, sequence, len(imeis)))

    def remove(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        for some in _batches(imeis):
            named = array(some)
            left = self._connection.execute(
                sql.GRANTED_TAKE, (account_id, named, account_id)
            ).fetchall()
            self._connection.executemany(
                sql.GRANTED_DELETE, [(account_id, of) for of, held in left if not held]
            )
            kept = self._connection.execute(sql.SPAN_INSERT, (at_ms, sequence, account_id, named))
            _expect_rows(kept, some)
            _expect_rows(self._connection.execute(sql.LICENSE_DELETE, (account_id, named)), some)

    def give_back(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        for some in _batches(imeis):
            named = array(some)
            given = self._connection.execute(
                life.LICENSE_GIVE_BACK, (at_ms, sequence, named, account_id, account_id)
            )
            _expect_rows(given, some)
            self._connection.execute(life.GRANTED_GIVE_BACK, (account_id, account_id, named))

    def register(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(sql.DEVICE_UPSERT, (account_id, array(sorted(imeis))))
        _expect_rows(cursor, imeis)

    def leave(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(life.DEVICE_LEAVE, (account_id, array(imeis)))
        _expect_rows(cursor, imeis)

    def schedule(
        self, account_id: int, imeis: Sequence[int], sequence: int, plan: UpgradePlan | None
    ) -> None:
        named = array(imeis)
        plan_id = None if plan is None else plan.id
        cursor = self._connection.execute(life.UPGRADE_SCHEDULE, (plan_id, account_id, named))
        _expect_rows(cursor, imeis)
        if plan is not None:
            self._connection.execute(
                life.UPGRADE_ITEMS_INSERT, (account_id, plan.id, sequence, named)
            )

    def open_upgrade(self, account_id: int, plan: UpgradePlan, sequence: int) -> None:
        self._connection.execute(
            life.UPGRADE_INSERT,
            (
                account_id,
                plan.id,
                sequence,
                plan.firmware_name,
                plan.firmware_to,
                plan.start_date,
                plan.end_date,
            ),
        )

    def step(self, account_id: int, imeis: Sequence[int], step: Step, sequence: int) -> None:
        for some in _batches(imeis):
            named = array(some)
            self._connection.execute(life.UPGRADE_ITEMS_STEP, (step, account_id, named, account_id))
            if step is Step.RUNNING:
                cursor = self._connection.execute(life.UPGRADE_START, (account_id, named))
            else:
                finished = sequence if step is Step.FINISHED else None
                cursor = self._connection.execute(life.UPGRADE_END, (finished, account_id, named))
            _expect_rows(cursor, some)

    def pend(self, account_id: int, imeis: Sequence[int], sequence: int) -> None:
        cursor = self._connection.execute(life.PENDING_INSERT, (account_id, sequence, array(imeis)))
        _expect_rows(cursor, imeis)

    def release(self, account_id: int, imeis: Sequence[int]) -> None:
        cursor = self._connection.execute(life.PENDING_DELETE, (account_id, array(imeis)))
        _expect_rows(cursor, imeis)

    def list_candidates(self, account_id: int, imeis: Sequence[int], sequence: int) -> None:
        cursor = self._connection.execute(
            life.CANDIDATES_INSERT, (account_id, sequence, array(imeis))
        )
        _expect_rows(cursor, imeis)

    def unlist_candidates(self, account_id: int, imeis: Sequence[int]) -> None:
        for some in _batches(imeis):
            cursor = self._connection.execute(life.CANDIDATES_DELETE, (account_id, array(some)))
            _expect_rows(cursor, some)

    def clear_candidates(self, account_id: int) -> None:
        self._connection.execute(life.CANDIDATES_CLEAR, (account_id,))

    def key_uses(self, account_id: int, day: int, texts: Sequence[str]) -> dict[str, KeyUse]:
        rows = self._connection.execute(sql.KEYS, (account_id, day, account_id, day, array(texts)))
        return {text: KeyUse(*use) for text, *use in rows}

    def keep_keys(
        self, account_id: int, day: int, used: Sequence[tuple[IdempotencyKey, int, bytes | None]]
    ) -> None:
        self._connection.executemany(
            sql.KEY_INSERT,
            [
                (account_id, day, key.text, key.fingerprint, sequence, answer)
                for key, sequence, answer in used
            ],
        )

    def forget_keys(self, account_id: int, day: int, count: int) -> None:
        self._connection.execute(
            sql.KEYS_FORGET, (account_id, day, account_id, account_id, account_id, count)
        )

    def append(self, changes: Sequence[Change]) -> None:
        self._connection.executemany(sql.CHANGE_INSERT, map(_change_row, changes))

    def save(self, account: Account) -> None:
        self._connection.execute(
            sql.ACCOUNT_UPDATE,
            (
                account.totals.total,
                account.totals.used,
                account.totals.overhang,
                account.purchase_type.value,
                account.sequence,
                account.changed_at_ms,
                account.head,
                account.active,
                account.policy.value,
                account.subscribed_at_ms,
                account.candidates,
                account.candidates_at_ms,
                account.id,
            ),
        )

    def open_account(self, name: str, purchase_type: PurchaseType) -> AccountKey:
        if self._connection.execute(directory.ACCOUNT_BY_NAME, (name,)).fetchone():
            raise AlreadyExists(f"account {name} exists already")
        (account_id,) = self._connection.execute(directory.ACCOUNT_NAME_INSERT, (name,)).fetchone()
        self._connection.execute(sql.ACCOUNT_INSERT, (account_id, purchase_type.value, b""))
        return AccountKey(account_id, name)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with errors_mapped():
            self._connection.execute("SAVEPOINT alone")
            try:
                yield
            except BaseException:
                if self.alive:
                    self._connection.execute("ROLLBACK TO alone")
                    self._connection.execute("RELEASE alone")
                raise
            self._connection.execute("RELEASE alone")

    @property
    def alive(self) -> bool:
        return self._connection.in_transaction


def _expect_rows(cursor: sqlite3.Cursor, imeis: Sequence[int]) -> None:
    """The decision and the tables must agree; the transaction ends here if they do not."""
    if cursor.rowcount != len(imeis):
        raise RuntimeError(f"wrote {cursor.rowcount} rows where {len(imeis)} were decided")


def _batches(imeis: Sequence[int]) -> Iterator[Sequence[int]]:
    """Devices in bounded numbers; very many are sorted, so that neighbours go together."""
    if len(imeis) > DEVICES_AT_ONCE:
        imeis = sorted(imeis)
    return (imeis[at : at + DEVICES_AT_ONCE] for at in range(0, len(imeis), DEVICES_AT_ONCE))


def _change_row(change: Change) -> tuple[object, ...]:
    return (
        change.account.id,
        change.sequence,
        change.at_ms,
        change.actor,
        change.request_id,
        change.verb,
        change.packed,
        change.outcomes,
        change.totals.total,
        change.totals.used,
        change.totals.overhang,
        change.detail,
        change.hash,
    )
