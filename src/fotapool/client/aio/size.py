"""The part of `client.pool` about its size: resize, undo, the candidate list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from fotapool.client.aio.own import AsyncOwnOperations
from fotapool.client.aio.paging import AsyncListing
from fotapool.client.calls import making
from fotapool.client.options import CallOptions
from fotapool.client.own_calls import account_of, get_call
from fotapool.client.results import DryRun, PoolAccount, PoolChange
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import write_member, write_nothing


class AsyncSizeOperations(AsyncOwnOperations):
    """How many licenses, who loses one first, and taking changes back."""

    async def account(self, account: str, **options: Unpack[CallOptions]) -> PoolAccount:
        """What an account is, and how it stands. Raises ApiError."""
        call = get_call(account, "", {}, answers.Account)
        return await self._performer.perform(making(account_of, call), **options)

    async def resize(
        self,
        account: str,
        total: int,
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Set the number of licenses (role admin). The verdicts name who loses one, and why.

        The first 1,000 of them; with `has_more`, `change` gives them all. Raises ApiError;
        PreconditionFailed where the account has moved on from `if_sequence`, EventOnly where it
        pays per event.
        """
        body = write_member("total", total)
        return await self._change(
            account, "resize", body, if_sequence=if_sequence, key=idempotency_key, options=options
        )

    async def dry_run_resize(
        self, account: str, total: int, **options: Unpack[CallOptions]
    ) -> DryRun:
        """Who would lose a license, all of them. Nothing is changed. Raises ApiError.

        Of very many each 1,000 is a request, and each as costly as the first; should the account
        move on between two, PreconditionFailed is raised.
        """
        return await self._dry_run(account, "resize", write_member("total", total), options)

    async def undo(
        self,
        account: str,
        change: int,
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Take back what still stands of an assign, remove, resize or undo.

        A verdict with `by` names the later change that altered the device. Verdicts as for
        `resize`. Raises ApiError; Conflict where the change cannot be undone, or no longer.
        """
        body = write_member("change", change)
        return await self._change(
            account, "undo", body, if_sequence=if_sequence, key=idempotency_key, options=options
        )

    async def dry_run_undo(
        self, account: str, change: int, **options: Unpack[CallOptions]
    ) -> DryRun:
        """What `undo` would come to now. Nothing is changed. Raises ApiError."""
        return await self._dry_run(account, "undo", write_member("change", change), options)

    def candidates(self, account: str, **options: Unpack[CallOptions]) -> AsyncListing[str]:
        """Who loses a license first when the pool shrinks, in order. Raises ApiError."""
        return self._listing(
            account,
            "candidates",
            {},
            answers.Candidates,
            lambda page: (item.imei for item in page.items),
            options=options,
        )

    async def replace_candidates(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Make these the candidate list. `candidates` of the answer is its length.

        Raises ApiError.
        """
        return await self._change_devices(
            account, "candidates/replace", imeis, key=idempotency_key, options=options
        )

    async def append_candidates(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> PoolChange:
        """Put these at the end of the candidate list. Raises ApiError."""
        return await self._change_devices(
            account, "candidates/append", imeis, key=idempotency_key, options=options
        )

    async def clear_candidates(
        self, account: str, *, idempotency_key: str | None = None, **options: Unpack[CallOptions]
    ) -> PoolChange:
        """Empty the candidate list. Raises ApiError."""
        return await self._change(
            account, "candidates/clear", write_nothing(), key=idempotency_key, options=options
        )
