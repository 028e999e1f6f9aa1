"""What the operations of a fotapool server share: changes, dry runs, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from fotapool.client.aio.paging import AsyncListing, each_page
from fotapool.client.calls import AsyncPerformer, Call, list_of_imeis, paged
from fotapool.client.options import CallOptions
from fotapool.client.own_calls import (
    PartT,
    dry_run_call,
    get_call,
    part_of,
    path_below,
    read_pool_change,
    with_every_verdict,
)
from fotapool.client.results import DryRun, Page, PoolChange
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import write_imeis

T = TypeVar("T")
PageT = TypeVar(
    "PageT",
    answers.Entries,
    answers.Change,
    answers.Holdings,
    answers.Status,
    answers.Refusals,
    answers.Candidates,
    answers.Devices,
)


class AsyncOwnOperations:
    """A part of our own operations. They need the bearer token alone, no session."""

    def __init__(self, performer: AsyncPerformer) -> None:
        self._performer = performer

    async def _change_devices(
        self,
        account: str,
        below: str,
        imeis: Iterable[str],
        *,
        if_sequence: int | None = None,
        key: str | None,
        options: CallOptions,
    ) -> PoolChange:
        body = write_imeis(list_of_imeis(imeis))
        return await self._change(
            account, below, body, if_sequence=if_sequence, key=key, options=options
        )

    async def _change(
        self,
        account: str,
        below: str,
        body: bytes,
        *,
        if_sequence: int | None = None,
        key: str | None,
        options: CallOptions,
    ) -> PoolChange:
        condition = () if if_sequence is None else (("If-Match", f'"{if_sequence}"'),)
        call = Call(
            "POST",
            path_below(account, below),
            read_pool_change,
            body,
            key=key,
            headers=condition,
            session=False,
        )
        return await self._performer.perform(call, **options)

    async def _dry_run(self, account: str, below: str, body: bytes, options: CallOptions) -> DryRun:
        """What a write would come to, with the verdicts of every page."""

        def call_at(cursor: str | None) -> Call[Page[DryRun]]:
            return dry_run_call(account, below, body, cursor)

        return with_every_verdict(await self._parts(account, call_at, options))

    def _listing(
        self,
        account: str,
        path: str,
        asked: dict[str, str | None],
        kind: type[PageT],
        items_of: Callable[[PageT], Iterable[T]],
        *,
        options: CallOptions,
    ) -> AsyncListing[T]:
        def call_at(cursor: str | None) -> Call[Page[T]]:
            call = get_call(account, path, {**asked, "cursor": cursor}, kind)
            return paged(call, items_of, lambda page: page.next)

        return AsyncListing(self._performer.with_options(**options), path, call_at)

    async def _parts(
        self, name: str, call_at: Callable[[str | None], Call[Page[PartT]]], options: CallOptions
    ) -> list[PartT]:
        """Every part of what comes in several pages; two of them may well be the same."""
        pages = each_page(
            self._performer.with_options(**options), name, call_at, lambda page: page.cursor
        )
        return [part_of(page) async for page in pages]
