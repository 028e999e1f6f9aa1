"""The part of `client.licenses` beside licenses: subscription, candidate list, devices.

Documented operations, so that they work on the vendor's service as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from fotapool.client.aio.paging import AsyncListing
from fotapool.client.calls import (
    AsyncPerformer,
    Call,
    list_of_imeis,
)
from fotapool.client.change_calls import clear_call, edit_call
from fotapool.client.documented_calls import (
    account_devices_call,
    candidates_call,
    devices_paged,
    named_call,
    subscription_call,
)
from fotapool.client.options import CallOptions
from fotapool.client.results import AccountDevice, CandidateEdit, Page, Subscription


class AsyncFamilyOperations:
    """What an account has bought, which devices it has, and who loses a license first."""

    def __init__(self, performer: AsyncPerformer) -> None:
        self._performer = performer

    async def subscription(self, account: str, **options: Unpack[CallOptions]) -> Subscription:
        """What the account has bought, and how much of it is used. Raises ApiError."""
        return await self._performer.perform(subscription_call(account), **options)

    def account_devices(
        self, account: str, *, protocol: str | None = None, **options: Unpack[CallOptions]
    ) -> AsyncListing[AccountDevice]:
        """Every device of the account, page by page as it is asked for. Raises ApiError."""

        def call_at(cursor: str | None) -> Call[Page[AccountDevice]]:
            return account_devices_call(account, cursor, protocol)

        return AsyncListing(self._performer.with_options(**options), account, call_at)

    async def named_devices(
        self, account: str, imeis: Iterable[str], **options: Unpack[CallOptions]
    ) -> Page[AccountDevice]:
        """Up to 1,000 devices by name; `found` tells which of them the account has.

        Raises ApiError.
        """
        call = named_call(account, list_of_imeis(imeis))
        return await self._performer.perform(devices_paged(call), **options)

    def candidates(self, account: str, **options: Unpack[CallOptions]) -> AsyncListing[str]:
        """Who loses a license first when the pool shrinks, in order (v2). Raises ApiError."""
        return AsyncListing(
            self._performer.with_options(**options),
            account,
            lambda cursor: candidates_call(account, cursor),
        )

    async def replace_candidates(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> CandidateEdit:
        """Make these the candidate list (v2). Raises ApiError."""
        call = edit_call(account, imeis, idempotency_key, append=False)
        return await self._performer.perform(call, **options)

    async def append_candidates(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> CandidateEdit:
        """Put these at the end of the candidate list (v2). Raises ApiError."""
        call = edit_call(account, imeis, idempotency_key, append=True)
        return await self._performer.perform(call, **options)

    async def clear_candidates(
        self, account: str, *, idempotency_key: str | None = None, **options: Unpack[CallOptions]
    ) -> CandidateEdit:
        """Empty the candidate list (v2). Raises ApiError."""
        return await self._performer.perform(clear_call(account, idempotency_key), **options)
