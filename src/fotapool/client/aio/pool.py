"""`client.pool`: a fotapool server's own operations: conditions, dry runs, the size, the past.

The vendor's service has none of them: there every call raises MissingPath.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Literal, Unpack
from urllib.parse import quote

from fotapool.client.aio.paging import AsyncListing
from fotapool.client.aio.size import AsyncSizeOperations
from fotapool.client.calls import Call, list_of_imeis, making
from fotapool.client.options import CallOptions
from fotapool.client.own_calls import (
    change_call,
    clock_of,
    devices_of,
    get_call,
    holdings_of,
    position_of,
    refusals_call,
    status_call,
    summaries_of,
    time_text,
    with_every_count,
    with_every_verdict,
)
from fotapool.client.results import (
    ChangeSummary,
    ClockHealth,
    DryRun,
    Holding,
    LicensedDevice,
    Page,
    PoolChange,
    PoolStatus,
    Refusals,
)
from fotapool.model import Outcome
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import write_imeis


class AsyncPoolController(AsyncSizeOperations):
    """Licenses, the size of the pool, and its past. The bearer token is enough, no session."""

    async def status(self, account: str, **options: Unpack[CallOptions]) -> PoolStatus:
        """Totals now, and the first page of licensed devices. Raises ApiError."""
        return await self._performer.perform(status_call(account, "status", {}), **options)

    def devices(self, account: str, **options: Unpack[CallOptions]) -> AsyncListing[LicensedDevice]:
        """Every licensed device now, page by page as it is asked for. Raises ApiError."""
        return self._licensed(account, "status", {}, options)

    async def assign(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Assign a license to each device.

        With `if_sequence` only while that is the account's last change; else PreconditionFailed is
        raised, and nothing is done. Raises ApiError.
        """
        return await self._change_devices(
            account, "assign", imeis, if_sequence=if_sequence, key=idempotency_key, options=options
        )

    async def remove(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Take the license of each device; `if_sequence` as for `assign`. Raises ApiError."""
        return await self._change_devices(
            account, "remove", imeis, if_sequence=if_sequence, key=idempotency_key, options=options
        )

    async def dry_run_assign(
        self, account: str, imeis: Iterable[str], **options: Unpack[CallOptions]
    ) -> DryRun:
        """What `assign` would come to now. Nothing is changed. Raises ApiError."""
        return await self._dry_run(account, "assign", write_imeis(list_of_imeis(imeis)), options)

    async def dry_run_remove(
        self, account: str, imeis: Iterable[str], **options: Unpack[CallOptions]
    ) -> DryRun:
        """What `remove` would come to now. Nothing is changed. Raises ApiError."""
        return await self._dry_run(account, "remove", write_imeis(list_of_imeis(imeis)), options)

    def changes(
        self,
        account: str,
        *,
        verb: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        imei: str | None = None,
        outcome: Outcome | None = None,
        order: Literal["newest", "oldest"] = "newest",
        **options: Unpack[CallOptions],
    ) -> AsyncListing[ChangeSummary]:
        """The account's changes that fit, page by page as they are asked for.

        From `since` to before `until`; with `imei` and `outcome` both, that device got that
        outcome. Raises ApiError.
        """
        asked = {
            "verb": verb,
            "actor": actor,
            "since": time_text(since),
            "until": time_text(until),
            "imei": imei,
            "outcome": None if outcome is None else outcome.word,
            "order": order,
        }
        return self._listing(
            account, "changes", asked, answers.Entries, summaries_of, options=options
        )

    async def change(self, account: str, number: int, **options: Unpack[CallOptions]) -> PoolChange:
        """One change, with every verdict of it. Raises ApiError."""

        def call_at(cursor: str | None) -> Call[Page[PoolChange]]:
            return change_call(account, number, cursor)

        parts = await self._parts(account, call_at, options)
        return replace(with_every_verdict(parts), has_more=False)

    def device_history(
        self, account: str, imei: str, **options: Unpack[CallOptions]
    ) -> AsyncListing[Holding]:
        """When a device held a license, by which changes and whom, the earliest first.

        Raises ApiError.
        """
        path = f"devices/{quote(imei, safe='')}/history"
        return self._listing(account, path, {}, answers.Holdings, holdings_of, options=options)

    async def as_of(
        self,
        account: str,
        *,
        sequence: int | None = None,
        at: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolStatus:
        """Totals and the first page of licensed devices as they stood at a sequence or moment.

        Give one of the two; the answer names the sequence. Raises ApiError.
        """
        return await self._performer.perform(
            status_call(account, "as-of", position_of(sequence, at)), **options
        )

    def devices_as_of(
        self,
        account: str,
        *,
        sequence: int | None = None,
        at: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncListing[LicensedDevice]:
        """Every device that was licensed at a sequence or moment. Raises ApiError."""
        return self._licensed(account, "as-of", position_of(sequence, at), options)

    async def refusals(
        self,
        account: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        verb: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Refusals:
        """How many devices were refused from `since` to before `until`, and why.

        Raises ApiError.
        """
        asked = {"since": time_text(since), "until": time_text(until), "verb": verb}

        def call_at(cursor: str | None) -> Call[Page[Refusals]]:
            return refusals_call(account, asked, cursor)

        return with_every_count(await self._parts(account, call_at, options))

    async def clock(self, account: str, **options: Unpack[CallOptions]) -> ClockHealth:
        """Whether the server's clock is behind the account's own time. Raises ApiError."""
        call = get_call(account, "clock", {}, answers.Clock)
        return await self._performer.perform(making(clock_of, call), **options)

    def _licensed(
        self, account: str, path: str, asked: dict[str, str | None], options: CallOptions
    ) -> AsyncListing[LicensedDevice]:
        return self._listing(account, path, asked, answers.Status, devices_of, options=options)
