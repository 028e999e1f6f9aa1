# Made of aio/devices.py by scripts/uncolour: change that one.
"""`client.devices` and `client.upgrades`: the registry of an account, and the steps of upgrades.

Operations of a fotapool server; on the vendor's service they raise MissingPath, but for the plans
of upgrades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from fotapool.client.options import CallOptions
from fotapool.client.own import OwnOperations
from fotapool.client.own_calls import pool_devices_of
from fotapool.client.paging import Listing
from fotapool.client.plans import PlanOperations
from fotapool.client.results import PoolChange, PoolDevice
from fotapool.wire import pool_answers as answers


class DevicesController(OwnOperations):
    """Which devices belong to an account."""

    def list(self, account: str, **options: Unpack[CallOptions]) -> Listing[PoolDevice]:
        """Every device of the account, IMEIs ascending. Raises ApiError."""
        return self._listing(
            account, "devices", {}, answers.Devices, pool_devices_of, options=options
        )

    def register(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Make devices the account's own (role admin). Raises ApiError."""
        return self._change_devices(
            account, "devices/register", imeis, key=idempotency_key, options=options
        )

    def unregister(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Let devices leave: licenses freed, upgrades ended (role admin). Raises ApiError."""
        return self._change_devices(
            account, "devices/unregister", imeis, key=idempotency_key, options=options
        )


class UpgradesController(PlanOperations, OwnOperations):
    """Planned upgrades, and the steps of upgrades: whoever moves the firmware tells them."""

    def schedule(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Plan an upgrade of each device. Raises ApiError."""
        return self._change_devices(
            account, "upgrades/schedule", imeis, key=idempotency_key, options=options
        )

    def start(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Begin upgrades that were scheduled. Raises ApiError."""
        return self._change_devices(
            account, "upgrades/start", imeis, key=idempotency_key, options=options
        )

    def finish(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """End upgrades that run: the firmware is new. Raises ApiError."""
        return self._change_devices(
            account, "upgrades/finish", imeis, key=idempotency_key, options=options
        )

    def fail(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """End upgrades that run: the firmware is not new. Raises ApiError."""
        return self._change_devices(
            account, "upgrades/fail", imeis, key=idempotency_key, options=options
        )

    def cancel(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Give up upgrades that were scheduled. Raises ApiError."""
        return self._change_devices(
            account, "upgrades/cancel", imeis, key=idempotency_key, options=options
        )
