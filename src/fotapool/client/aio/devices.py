"""`client.devices` and `client.upgrades`: the registry of an account, and the steps of upgrades.

Operations of a fotapool server; on the vendor's service they raise MissingPath, but for the plans
of upgrades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from fotapool.client.aio.own import AsyncOwnOperations
from fotapool.client.aio.paging import AsyncListing
from fotapool.client.aio.plans import AsyncPlanOperations
from fotapool.client.options import CallOptions
from fotapool.client.own_calls import pool_devices_of
from fotapool.client.results import PoolChange, PoolDevice
from fotapool.wire import pool_answers as answers


class AsyncDevicesController(AsyncOwnOperations):
    """Which devices belong to an account."""

    def list(self, account: str, **options: Unpack[CallOptions]) -> AsyncListing[PoolDevice]:
        """Every device of the account, IMEIs ascending. Raises ApiError."""
        return self._listing(
            account, "devices", {}, answers.Devices, pool_devices_of, options=options
        )

    async def register(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Make devices the account's own (role admin). Raises ApiError."""
        return await self._change_devices(
            account, "devices/register", imeis, key=idempotency_key, options=options
        )

    async def unregister(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Let devices leave: licenses freed, upgrades ended (role admin). Raises ApiError."""
        return await self._change_devices(
            account, "devices/unregister", imeis, key=idempotency_key, options=options
        )


class AsyncUpgradesController(AsyncPlanOperations, AsyncOwnOperations):
    """Planned upgrades, and the steps of upgrades: whoever moves the firmware tells them."""

    async def schedule(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Plan an upgrade of each device. Raises ApiError."""
        return await self._change_devices(
            account, "upgrades/schedule", imeis, key=idempotency_key, options=options
        )

    async def start(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Begin upgrades that were scheduled. Raises ApiError."""
        return await self._change_devices(
            account, "upgrades/start", imeis, key=idempotency_key, options=options
        )

    async def finish(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """End upgrades that run: the firmware is new. Raises ApiError."""
        return await self._change_devices(
            account, "upgrades/finish", imeis, key=idempotency_key, options=options
        )

    async def fail(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """End upgrades that run: the firmware is not new. Raises ApiError."""
        return await self._change_devices(
            account, "upgrades/fail", imeis, key=idempotency_key, options=options
        )

    async def cancel(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Give up upgrades that were scheduled. Raises ApiError."""
        return await self._change_devices(
            account, "upgrades/cancel", imeis, key=idempotency_key, options=options
        )
