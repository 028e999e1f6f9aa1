# Made of aio/paging.py by scripts/uncolour: change that one.
# ruff: noqa: UP028 -- a coroutine knows no `yield from`
"""Lists page by page, never in a circle."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

from fotapool.client.calls import NO_CURSOR, Call, Performer
from fotapool.client.errors import ApiError
from fotapool.client.results import Page

T = TypeVar("T")


class Listing(Generic[T]):
    """A list that is asked for page by page while it is gone through; each time anew.

    To go through it raises ApiError.
    """

    def __init__(
        self, performer: Performer, name: str, call_at: Callable[[str | None], Call[Page[T]]]
    ) -> None:
        self._performer = performer
        self._name = name
        self._call_at = call_at

    def __iter__(self) -> Generator[T, None]:
        for page in self.pages():
            for item in page.items:
                yield item

    def to_list(self, *, limit: int | None = None) -> list[T]:
        """The items, at most `limit` of them; no page is asked for that is not needed.

        Raises ApiError.
        """
        items: list[T] = []
        if limit is None or limit > 0:
            for item in self:
                items.append(item)
                if len(items) == limit:
                    break
        return items

    def pages(self, cursor: str | None = None) -> Generator[Page[T], None]:
        """The pages from a cursor on: that of the last page one has dealt with. Raises ApiError."""
        for page in each_page(
            self._performer,
            self._name,
            self._call_at,
            lambda page: page.cursor,
            cursor=cursor,
            items_of=lambda page: page.items,
        ):
            yield page


def each_page(
    performer: Performer,
    name: str,
    call_at: Callable[[str | None], Call[T]],
    next_of: Callable[[T], str | None],
    *,
    cursor: str | None = None,
    items_of: Callable[[T], Sequence[object]] = lambda _page: (),
) -> Generator[T, None]:
    """Every page of a list from a cursor on, each asked for when the one before is used up.

    `call_at` asks for the page behind a cursor, `next_of` names the cursor of the next page, None
    where there is none. A page that was there already, by its cursor or its items, is asked for
    again, once. Raises ApiError where it comes again.
    """
    seen: set[str | None] = {NO_CURSOR, cursor} - {None}
    before: Sequence[object] = ()
    while True:
        for _ in range(2):
            page = performer.perform(call_at(cursor))
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
