"""What an account is and has beside licenses: its row, its devices, candidates and upgrades."""

from __future__ import annotations

from collections.abc import Sequence

from fotapool.ledger import PAGE_SIZE_MAX, candidate_page
from fotapool.ledger.store import Snapshot, Store
from fotapool.model import (
    AccountKey,
    CandidatePage,
    Cursor,
    DevicePage,
    Refusal,
    Refused,
    RegisteredDevice,
    Subscription,
    Upgrade,
)


class Registry:
    """Reads, each of one snapshot. Thread-safe if its store is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def subscription(self, account: AccountKey) -> Subscription:
        """What the account has bought, and how it stands."""
        row = self._store.read(lambda snapshot: snapshot.account(account.id))
        return Subscription(account, row)

    def devices(self, account: AccountKey, cursor: Cursor) -> DevicePage:
        """Devices of the account beyond a cursor (R4, R5).

        Raises Refused where the cursor names no device that is or was the account's, or an
        offset beyond their number.
        """
        return self._store.read(lambda snapshot: _device_page(snapshot, account, cursor))

    def named_devices(
        self, account: AccountKey, imeis: Sequence[int]
    ) -> tuple[int, list[RegisteredDevice]]:
        """Of these devices those of the account, and the account's last change."""

        def read(snapshot: Snapshot) -> tuple[int, list[RegisteredDevice]]:
            found = snapshot.registered_of(account.id, imeis)
            return snapshot.account(account.id).sequence, found

        return self._store.read(read)

    def candidates(self, account: AccountKey, start: int) -> CandidatePage:
        """The candidate list from an index on. Raises Refused for one beyond its end (R8)."""

        def read(snapshot: Snapshot) -> CandidatePage:
            row = snapshot.account(account.id)
            if start > row.candidates:
                raise Refused(Refusal.INDEX_TOO_HIGH)
            return candidate_page(snapshot, account, row, start)

        return self._store.read(read)

    def upgrade(self, account: AccountKey, upgrade_id: bytes) -> tuple[int, Upgrade]:
        """A named upgrade, and the account's last change. Raises Refused where there is none."""

        def read(snapshot: Snapshot) -> tuple[int, Upgrade]:
            found = snapshot.upgrade(account.id, upgrade_id)
            if found is None:
                raise Refused(Refusal.UPGRADE_UNKNOWN)
            return snapshot.account(account.id).sequence, found

        return self._store.read(read)


def _device_page(snapshot: Snapshot, account: AccountKey, cursor: Cursor) -> DevicePage:
    if cursor.offset is not None:
        found = snapshot.registered_at(account.id, cursor.offset, PAGE_SIZE_MAX + 1)
        if not found and cursor.offset and not _reaches(snapshot, account, cursor.offset):
            raise Refused(Refusal.INDEX_TOO_HIGH)
    else:
        if cursor.imei is not None and not snapshot.knows(account.id, cursor.imei):
            raise Refused(Refusal.CURSOR_UNKNOWN)
        after = -1 if cursor.imei is None else cursor.imei
        found = snapshot.registered(account.id, after, PAGE_SIZE_MAX + 1)
    return DevicePage(
        account,
        snapshot.account(account.id).sequence,
        found[:PAGE_SIZE_MAX],
        more=len(found) > PAGE_SIZE_MAX,
        cursor=cursor,
    )


def _reaches(snapshot: Snapshot, account: AccountKey, offset: int) -> bool:
    """Whether an offset is at most the number of devices, of which no count is kept."""
    return bool(snapshot.registered_at(account.id, offset - 1, 1))
