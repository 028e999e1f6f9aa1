"""What the operations of a fotapool server share: changes, dry runs, pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import TypeVar

from fotapool.client.calls import AsyncPerformer, Call, list_of_imeis, query_of
from fotapool.client.errors import ApiError
from fotapool.client.own_calls import (
    dry_run_of,
    get_call,
    path_below,
    read_pool_change,
    verdicts_of,
)
from fotapool.client.results import DryRun, PoolChange
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import read, write_imeis

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
        if_sequence: int | None,
        key: str | None,
    ) -> PoolChange:
        body = write_imeis(list_of_imeis(imeis))
        return await self._change(account, below, body, if_sequence, key)

    async def _change(
        self, account: str, below: str, body: bytes, if_sequence: int | None, key: str | None
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
        return await self._performer.perform(call)

    async def _dry_run(self, account: str, below: str, body: bytes) -> DryRun:
        """What a write would come to, with the verdicts of every page."""
        page = await self._dry_run_page(account, below, body, None)
        told = dry_run_of(page)
        items = list(page.items)
        while page.next is not None:
            page = await self._dry_run_page(account, below, body, page.next)
            items += page.items
        return replace(told, verdicts=tuple(verdicts_of(items)))

    async def _dry_run_page(
        self, account: str, below: str, body: bytes, cursor: str | None
    ) -> answers.DryRun:
        path = path_below(account, f"dry-run/{below}") + query_of({"cursor": cursor})
        call = Call(
            "POST",
            path,
            lambda response: read(response.body, answers.DryRun),
            body,
            writes=False,
            session=False,
        )
        return await self._performer.perform(call)

    async def _pages(
        self, account: str, path: str, asked: dict[str, str | None], kind: type[PageT]
    ) -> AsyncIterator[PageT]:
        """Every page of a list, each asked for when the one before is used up."""
        while True:
            page = await self._performer.perform(get_call(account, path, asked, kind))
            yield page
            if page.next is None:
                return
            if page.next == asked.get("cursor"):
                raise ApiError(f"the pages of {path} do not go on, yet say so")
            asked = {**asked, "cursor": page.next}
