# Made of aio/paging.py by scripts/uncolour: change that one.
"""Lists page by page, never in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from fotapool.client.calls import NO_CURSOR, Call, Performer
from fotapool.client.errors import ApiError

T = TypeVar("T")


def each_page(
    performer: Performer,
    name: str,
    call_at: Callable[[str | None], Call[T]],
    next_of: Callable[[T], str | None],
) -> Iterator[T]:
    """Every page of a list, each asked for when the one before is used up.

    `call_at` asks for the page behind a cursor, `next_of` names the cursor of the next page, None
    where there is none. A page that was there already is asked for again, once. Raises ApiError
    where it comes again.
    """
    cursor: str | None = None
    seen: set[str | None] = {NO_CURSOR}
    before: T | None = None
    while True:
        for _ in range(2):
            page = performer.perform(call_at(cursor))
            following = next_of(page)
            if following not in seen and page != before:
                break
        else:
            raise ApiError(f"the pages of {name} do not go on after {cursor}, yet say so")
        yield page
        if following is None:
            return
        seen.add(following)
        before, cursor = page, following
