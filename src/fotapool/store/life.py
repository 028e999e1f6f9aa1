"""Reading the rest of a pool's life: registry, upgrades, the order in which licenses go, undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fotapool.model import (
    Facts,
    Place,
    RegisteredDevice,
    Step,
    StoreDamaged,
    Upgrade,
    UpgradeItem,
    UpgradePlan,
)
from fotapool.store import statements_life as sql
from fotapool.store.directory import StoredDirectory


class StoredLife(StoredDirectory):
    """This part of what the ledger's `Snapshot` promises, in SQL."""

    def registered(self, account_id: int, after: int, count: int) -> list[RegisteredDevice]:
        rows = self._rows(sql.DEVICE_PAGE, account_id, account_id, after, count)
        return [RegisteredDevice(*row) for row in rows]

    def registered_at(self, account_id: int, offset: int, count: int) -> list[RegisteredDevice]:
        rows = self._rows(sql.DEVICES_AT, account_id, account_id, count, offset)
        return [RegisteredDevice(*row) for row in rows]

    def registered_of(self, account_id: int, imeis: Sequence[int]) -> list[RegisteredDevice]:
        rows = self._rows(sql.DEVICES_NAMED, self._array(imeis), account_id, account_id)
        return [RegisteredDevice(*row) for row in rows]

    def upgrading(self, account_id: int, imeis: Sequence[int]) -> Facts:
        ((scheduled, running),) = self._rows(sql.UPGRADING, self._array(imeis), account_id)
        return Facts(scheduled=self._set(scheduled), running=self._set(running))

    def upgrade(self, account_id: int, upgrade_id: bytes) -> Upgrade | None:
        rows = self._rows(sql.UPGRADE, account_id, upgrade_id)
        if not rows:
            return None
        sequence, *texts = rows[0]
        items = self._rows(sql.UPGRADE_ITEMS, account_id, upgrade_id)
        return Upgrade(
            UpgradePlan(upgrade_id, *texts),
            sequence,
            [UpgradeItem(imei, Step(step)) for imei, step in items],
        )

    def grants_after(self, account_id: int, sequence: int, count: int) -> list[tuple[int, int]]:
        return list(self._rows(sql.GRANTS_AFTER, account_id, sequence, count))

    def origins(self, account_id: int, imeis: Sequence[int]) -> dict[int, int]:
        return dict(self._rows(sql.ORIGINS, self._array(imeis), account_id))

    def held_since(self, account_id: int, until: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for origin, imei in self.connection.each(sql.HELD_SINCE, account_id, until):
            found.setdefault(origin, []).append(imei)
        return found

    def pending(self, account_id: int, count: int, named: Sequence[int]) -> list[int]:
        rows = self._rows(sql.PENDING, account_id, count, self._array(named), account_id)
        return [imei for (imei,) in rows]

    def listed(self, account_id: int, imeis: Sequence[int]) -> frozenset[int]:
        ((found,),) = self._rows(sql.LISTED, self._array(imeis), account_id)
        return self._set(found)

    def candidates_after(self, account_id: int, after: tuple[int, int], count: int) -> list[Place]:
        return [Place(*row) for row in self._rows(sql.CANDIDATES_AFTER, account_id, *after, count)]

    def candidates_at(self, account_id: int, offset: int, count: int) -> list[int]:
        rows = self._rows(sql.CANDIDATES_AT, account_id, count, offset)
        return [imei for (imei,) in rows]

    def candidate_rows(self, account_id: int, after: int | None, count: int) -> list[Place]:
        rows = self._rows(sql.CANDIDATES_BETWEEN, account_id, bound(after, -1), count)
        return [Place(*row) for row in own(rows, account_id)]

    def pending_rows(self, account_id: int, after: int | None, count: int) -> list[Place]:
        rows = self._rows(sql.PENDING_AFTER, account_id, bound(after, -1), count)
        return [Place(*row) for row in own(rows, account_id)]

    def granted_rows(self, account_id: int, after: int, count: int) -> list[tuple[int, int]]:
        return list(self._rows(sql.GRANTED_BETWEEN, account_id, after, count))

    def altered_after(self, account_id: int, imeis: Sequence[int], sequence: int) -> dict[int, int]:
        named = self._array(imeis), account_id, sequence
        return dict(self._rows(sql.ALTERED_AFTER, *named, *named))

    def _set(self, value: Any) -> frozenset[int]:
        return frozenset(self.connection.numbers(value))


def bound(value: int | None, sign: int) -> int:
    """Nothing is beyond this, not even what no device could be."""
    return sign * (2**63 - 1) if value is None else value


def own(rows: Sequence[Any], account_id: int) -> list[tuple[Any, ...]]:
    """Rows without their account, which must be the one that was asked for.

    The engine finds rows by it, yet would pass over one that was altered in its place.
    """
    if any(row[0] != account_id for row in rows):
        raise StoreDamaged(f"a row of account {account_id} says that it is another's")
    return [row[1:] for row in rows]
