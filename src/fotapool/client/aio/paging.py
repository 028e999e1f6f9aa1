"""Lists page by page, never in a circle."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Generic, TypeVar

from fotapool.client.calls import NO_CURSOR, AsyncPerformer, Call
from fotapool.client.errors import ApiError
from fotapool.client.results import Page

T = TypeVar("T")


class AsyncListing(Generic[T]):
    """A list that is asked for page by page while it is gone through; each time anew.

    To go through it raises ApiError.
    """

    def __init__(
        self, performer: AsyncPerformer, name: str, call_at: Callable[[str | None], Call[Page[T]]]
    ) -> None:
        self._performer = performer
        self._name = name
        self._call_at = call_at

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def to_list(self, *, limit: int | None = None) -> list[T]:
        """The items, at most `limit` of them; no page is asked for that is not needed.

        Raises ApiError.
        """
        items: list[T] = []
        if limit is None or limit > 0:
            async for item in self:
                items.append(item)
                if len(items) == limit:
                    break
        return items

    async def pages(self, cursor: str | None = None) -> AsyncGenerator[Page[T], None]:
        """The pages from a cursor on: that of the last page one has dealt with. Raises ApiError."""
        async for page in each_page(
            self._performer,
            self._name,
            self._call_at,
            lambda page: page.cursor,
            cursor=cursor,
            items_of=lambda page: page.items,
        ):
            yield page


async def each_page(
    performer: AsyncPerformer,
    name: str,
    call_at: Callable[[str | None], Call[T]],
    next_of: Callable[[T], str | None],
    *,
    cursor: str | None = None,
    items_of: Callable[[T], Sequence[object]] = lambda _page: (),
) -> AsyncGenerator[T, None]:
    """Every page of a list from a cursor on, each asked for when the one before is used up.

    `call_at` asks for the page behind a cursor, `next_of` names the cursor of the next page, None
    where there is none. A page that was there already, by its cursor or its items, is asked for
    again, once. Raises ApiError where it comes again.
    """
    seen: set[str | None] = {NO_CURSOR, cursor} - {None}
    before: Sequence[object] = ()
    while True:
        for _ in range(2):
            page = await performer.perform(call_at(cursor))
            following, items = next_of(page), items_of(page)
            if following not in seen and not (items and items == before):
                break
        else:
            raise ApiError(f"the pages of {name} do not go on after {cursor}, yet say so")
        yield page
        if following is None:
            return
        seen.add(following)
        before, cursor = items, following
