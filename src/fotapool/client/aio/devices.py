"""`client.devices` and `client.upgrades`: the registry of an account, and the steps of upgrades.

Operations of a fotapool server; on the vendor's service every call raises MissingPath.
"""

from __future__ import annotations

from collections.abc import Iterable

from fotapool.client.aio.own import AsyncOwnOperations
from fotapool.client.aio.paging import AsyncListing
from fotapool.client.own_calls import pool_devices_of
from fotapool.client.results import PoolChange, PoolDevice
from fotapool.wire import pool_answers as answers


class AsyncDevicesController(AsyncOwnOperations):
    """Which devices belong to an account."""

    def list(self, account: str) -> AsyncListing[PoolDevice]:
        """Every device of the account, IMEIs ascending. Raises ApiError."""
        return self._listing(account, "devices", {}, answers.Devices, pool_devices_of)

    async def register(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Make devices the account's own (role admin). Raises ApiError."""
        return await self._change_devices(account, "devices/register", imeis, None, idempotency_key)

    async def unregister(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Let devices leave: licenses freed, upgrades ended (role admin). Raises ApiError."""
        return await self._change_devices(
            account, "devices/unregister", imeis, None, idempotency_key
        )


class AsyncUpgradesController(AsyncOwnOperations):
    """The steps of upgrades: whoever moves the firmware tells them."""

    async def schedule(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Plan an upgrade of each device. Raises ApiError."""
        return await self._change_devices(
            account, "upgrades/schedule", imeis, None, idempotency_key
        )

    async def start(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Begin upgrades that were scheduled. Raises ApiError."""
        return await self._change_devices(account, "upgrades/start", imeis, None, idempotency_key)

    async def finish(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """End upgrades that run: the firmware is new. Raises ApiError."""
        return await self._change_devices(account, "upgrades/finish", imeis, None, idempotency_key)

    async def fail(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """End upgrades that run: the firmware is not new. Raises ApiError."""
        return await self._change_devices(account, "upgrades/fail", imeis, None, idempotency_key)

    async def cancel(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Give up upgrades that were scheduled. Raises ApiError."""
        return await self._change_devices(account, "upgrades/cancel", imeis, None, idempotency_key)
