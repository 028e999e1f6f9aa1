"""A write transaction: what the ledger's `Tx` and auth's `Directory` promise, in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fotapool.model import (
    Account,
    AccountKey,
    AlreadyExists,
    Change,
    IdempotencyKey,
    KeyUse,
    NotFound,
    PurchaseType,
    Step,
    UpgradePlan,
)
from fotapool.store import statements as sql
from fotapool.store import statements_directory as directory
from fotapool.store import statements_life as life
from fotapool.store.snapshot import StoredSnapshot

FEW = 8
"""Up to this many devices, a row at a time is faster than a set-based statement."""
DEVICES_AT_ONCE = 10_000


class StoredTx(StoredSnapshot):
    """A write transaction: what the ledger's `Tx` and auth's `Directory` promise, in SQL."""

    def account(self, account_id: int) -> Account:
        return self._account(sql.ACCOUNT_LOCKED, account_id)

    def grant(
        self, account_id: int, grants: Sequence[tuple[int, Sequence[int]]], at_ms: int
    ) -> None:
        few = [
            (account_id, imei, at_ms, sequence)
            for sequence, imeis in grants
            if len(imeis) <= FEW
            for imei in imeis
        ]
        if few:
            self.connection.write_each(sql.LICENSE_INSERT_ONE, few, rows=len(few))
        for sequence, imeis in grants:
            if len(imeis) > FEW:
                granted = account_id, at_ms, sequence, self._array(sorted(imeis))
                self.connection.write(sql.LICENSE_INSERT, *granted, rows=len(imeis))
        counted = [(account_id, sequence, len(imeis)) for sequence, imeis in grants]
        self.connection.write_each(sql.GRANTED_INSERT, counted, rows=len(counted))

    def remove(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        for some in _batches(imeis):
            named = self._array(some)
            left = self._rows(sql.GRANTED_TAKE, account_id, named, account_id)
            self.connection.write_each(
                sql.GRANTED_DELETE, [(account_id, of) for of, held in left if not held]
            )
            ended = at_ms, sequence, account_id, named
            self.connection.write(sql.SPAN_INSERT, *ended, rows=len(some))
            self.connection.write(sql.LICENSE_DELETE, account_id, named, rows=len(some))

    def give_back(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        for some in _batches(imeis):
            named = self._array(some)
            given = at_ms, sequence, named, account_id, account_id
            self.connection.write(life.LICENSE_GIVE_BACK, *given, rows=len(some))
            self.connection.write(life.GRANTED_GIVE_BACK, account_id, account_id, named)

    def register(self, account_id: int, imeis: Sequence[int]) -> None:
        named = self._array(sorted(imeis))
        self.connection.write(sql.DEVICE_UPSERT, account_id, named, rows=len(imeis))

    def leave(self, account_id: int, imeis: Sequence[int]) -> None:
        self._write(life.DEVICE_LEAVE, account_id, imeis)

    def schedule(
        self, account_id: int, imeis: Sequence[int], sequence: int, plan: UpgradePlan | None
    ) -> None:
        named = self._array(imeis)
        plan_id = None if plan is None else plan.id
        self.connection.write(life.UPGRADE_SCHEDULE, plan_id, account_id, named, rows=len(imeis))
        if plan is not None:
            self.connection.write(life.UPGRADE_ITEMS_INSERT, account_id, plan.id, sequence, named)

    def open_upgrade(self, account_id: int, plan: UpgradePlan, sequence: int) -> None:
        self.connection.write(
            life.UPGRADE_INSERT,
            account_id,
            plan.id,
            sequence,
            plan.firmware_name,
            plan.firmware_to,
            plan.start_date,
            plan.end_date,
        )

    def step(self, account_id: int, imeis: Sequence[int], step: Step, sequence: int) -> None:
        for some in _batches(imeis):
            named = self._array(some)
            self.connection.write(life.UPGRADE_ITEMS_STEP, int(step), account_id, named, account_id)
            if step is Step.RUNNING:
                self.connection.write(life.UPGRADE_START, account_id, named, rows=len(some))
            else:
                ended = sequence if step is Step.FINISHED else None, account_id, named
                self.connection.write(life.UPGRADE_END, *ended, rows=len(some))

    def pend(self, account_id: int, imeis: Sequence[int], sequence: int) -> None:
        named = self._array(imeis)
        self.connection.write(life.PENDING_INSERT, account_id, sequence, named, rows=len(imeis))

    def release(self, account_id: int, imeis: Sequence[int]) -> None:
        self._write(life.PENDING_DELETE, account_id, imeis)

    def list_candidates(self, account_id: int, imeis: Sequence[int], sequence: int) -> None:
        named = self._array(imeis)
        listed = account_id, sequence, named
        self.connection.write(life.CANDIDATES_INSERT, *listed, rows=len(imeis))

    def unlist_candidates(self, account_id: int, imeis: Sequence[int]) -> None:
        for some in _batches(imeis):
            self._write(life.CANDIDATES_DELETE, account_id, some)

    def clear_candidates(self, account_id: int) -> None:
        self.connection.write(life.CANDIDATES_CLEAR, account_id)

    def key_uses(self, account_id: int, day: int, texts: Sequence[str]) -> dict[str, KeyUse]:
        asked = account_id, day, account_id, day, self.connection.texts(texts)
        return {text: KeyUse(*use) for text, *use in self._rows(sql.KEYS, *asked)}

    def keep_keys(
        self, account_id: int, day: int, used: Sequence[tuple[IdempotencyKey, int, bytes | None]]
    ) -> None:
        rows = [
            (account_id, day, key.text, key.fingerprint, sequence, answer)
            for key, sequence, answer in used
        ]
        self.connection.write_each(sql.KEY_INSERT, rows)

    def forget_keys(self, account_id: int, day: int, count: int) -> None:
        self.connection.write(
            sql.KEYS_FORGET, account_id, day, account_id, account_id, account_id, count
        )

    def append(self, changes: Sequence[Change]) -> None:
        self.connection.write_each(sql.CHANGE_INSERT, map(_change_row, changes))

    def save(self, account: Account) -> None:
        self.connection.write(
            sql.ACCOUNT_UPDATE,
            account.totals.total,
            account.totals.used,
            account.totals.overhang,
            account.purchase_type.value,
            account.sequence,
            account.changed_at_ms,
            account.head,
            int(account.active),
            account.policy.value,
            account.subscribed_at_ms,
            account.candidates,
            account.candidates_at_ms,
            account.id,
            rows=1,
        )

    def open_account(self, name: str, purchase_type: PurchaseType) -> AccountKey:
        if self._rows(directory.ACCOUNT_BY_NAME, name):
            raise AlreadyExists(f"account {name} exists already")
        ((account_id,),) = self._rows(directory.ACCOUNT_NAME_INSERT, name)
        self.connection.write(sql.ACCOUNT_INSERT, account_id, purchase_type.value, b"")
        return AccountKey(account_id, name)

    def holds(self, change: Change) -> bool:
        """Whether a change is there, once no other transaction holds its account."""
        try:
            self.account(change.account.id)
        except NotFound:
            return False
        asked = change.account.id, change.sequence, change.request_id
        return bool(self._rows(sql.CHANGE_OF_REQUEST, *asked))

    def _write(self, statement: str, account_id: int, imeis: Sequence[int]) -> None:
        named = self._array(imeis)
        self.connection.write(statement, account_id, named, rows=len(imeis))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done inside if it fails, and nothing else."""
        self.connection.settle()
        self.connection.write("SAVEPOINT alone")
        try:
            yield
        except BaseException:
            if self.alive:
                self.connection.write("ROLLBACK TO alone")
                self.connection.write("RELEASE alone")
            raise
        self.connection.write("RELEASE alone")

    @property
    def alive(self) -> bool:
        """False once the engine has thrown the transaction away by itself."""
        return self.connection.alive


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
        int(change.verb),
        change.packed,
        change.outcomes,
        change.totals.total,
        change.totals.used,
        change.totals.overhang,
        change.detail,
        change.hash,
    )
