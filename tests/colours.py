"""`AsyncClient` under the calls of `Client`, so that one test holds for both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Self

from fotapool import AsyncClient, AsyncListing
from fotapool.client import Urllib3Transport
from fotapool.client.aio import AiohttpTransport

Carry = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def running() -> Iterator[Callable[..., Blocking]]:
    """What makes such clients, over an event loop of their own in another thread.

    At the end each is closed, in its loop.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made: list[Blocking] = []

    def carry(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    def make(**settings: Any) -> Blocking:
        if isinstance(over := settings.get("transport"), Urllib3Transport):
            settings["transport"] = AiohttpTransport(over.network)
        client = Blocking(carry, AsyncClient(**settings))
        made.append(client)
        return client

    try:
        yield make
        for client in made:
            client.close()
    finally:
        carry(loop.shutdown_asyncgens())
        carry(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Blocking:
    """An AsyncClient whose coroutines are waited for."""

    def __init__(self, carry: Carry, client: AsyncClient) -> None:
        self._carry = carry
        self._client = client
        self._credentials = client._credentials

    def __enter__(self) -> Self:
        self._carry(self._client.__aenter__())
        return self

    def __exit__(self, *exception: object) -> None:
        self._carry(self._client.__aexit__(*exception))

    def __repr__(self) -> str:
        return repr(self._client)

    def with_options(self, **options: Any) -> Blocking:
        return Blocking(self._carry, self._client.with_options(**options))

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._client, name)
        return self._waited(part) if callable(part) else Part(self._waited, part)

    def _waited(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = verb(*arguments, **named)
            if isinstance(result, AsyncListing):
                return BlockingListing(self._carry, self._each, result)
            return self._carry(result)

        return call

    def _each(self, items: AsyncGenerator[Any, None]) -> Iterator[Any]:
        async def next_item() -> tuple[Any, ...]:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return ()

        try:
            while item := self._carry(next_item()):
                yield item[0]
        finally:
            self._carry(_closed(items))


class BlockingListing:
    """A list of such a client."""

    def __init__(
        self, carry: Carry, each: Callable[..., Iterator[Any]], listing: AsyncListing[Any]
    ) -> None:
        self._carry = carry
        self._each = each
        self._listing = listing

    def __iter__(self) -> Iterator[Any]:
        return self._each(aiter(self._listing))

    def to_list(self, *, limit: int | None = None) -> list[Any]:
        items: list[Any] = self._carry(self._listing.to_list(limit=limit))
        return items

    def pages(self, cursor: str | None = None) -> Iterator[Any]:
        return self._each(self._listing.pages(cursor))


class Part:
    """A controller of such a client."""

    def __init__(self, waited: Callable[..., Any], part: object) -> None:
        self._waited = waited
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return self._waited(getattr(self._part, name))


async def _closed(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()
