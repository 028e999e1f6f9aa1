"""The part of `client.upgrades` that plans: an upgrade of devices to a firmware, under an id.

Documented operations (v1), so that they work on the vendor's service as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Unpack

from fotapool.client.calls import AsyncPerformer
from fotapool.client.options import CallOptions
from fotapool.client.plan_calls import cancel_call, plan_call, planned_call, step_call
from fotapool.client.results import PlanChange, PlannedUpgrade
from fotapool.model import Outcome


class AsyncPlanOperations:
    """Upgrades as plans. An `upgrade_id` is that of the PlanChange which made one."""

    _performer: AsyncPerformer

    async def plan(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        firmware_name: str,
        firmware_to: str,
        starts_on: date,
        ends_on: date,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PlanChange:
        """Plan an upgrade of devices: its id, and a verdict per item, in order.

        `firmware_name` is the image, `firmware_to` the version that the devices then have. The
        vendor's service accepts first and schedules later: `planned` tells. Raises ApiError.
        """
        call = plan_call(
            account, imeis, (firmware_name, firmware_to), (starts_on, ends_on), idempotency_key
        )
        return await self._performer.perform(call, **options)

    async def planned(
        self, account: str, upgrade_id: str, **options: Unpack[CallOptions]
    ) -> PlannedUpgrade:
        """How far a planned upgrade is, and how far with each device. Raises ApiError."""
        return await self._performer.perform(planned_call(account, upgrade_id), **options)

    async def add_to_plan(
        self,
        account: str,
        upgrade_id: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PlanChange:
        """Let more devices be upgraded with the others: a verdict per item. Raises ApiError."""
        call = step_call(account, upgrade_id, Outcome.SCHEDULED, imeis, idempotency_key)
        return await self._performer.perform(call, **options)

    async def remove_from_plan(
        self,
        account: str,
        upgrade_id: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PlanChange:
        """Give up the upgrade of some of its devices: a verdict per item. Raises ApiError."""
        call = step_call(account, upgrade_id, Outcome.CANCELLED, imeis, idempotency_key)
        return await self._performer.perform(call, **options)

    async def cancel_plan(
        self,
        account: str,
        upgrade_id: str,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PlanChange:
        """Give up what is still scheduled of a planned upgrade. Raises ApiError."""
        call = cancel_call(account, upgrade_id, idempotency_key)
        return await self._performer.perform(call, **options)
