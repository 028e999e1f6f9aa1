"""What a client sends, and how it reads the answer: a `Call`, carried by whoever performs it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar, Unpack
from urllib.parse import quote, urlencode

import msgspec

from fotapool.client.errors import Response
from fotapool.client.options import CallOptions
from fotapool.client.results import Page

S = TypeVar("S")
T = TypeVar("T")

NO_CURSOR = ""
"""Stands for the cursor of a page that has another behind it and does not say where."""

_KEY = re.compile(r"[\x20-\x7e]{1,128}")


class Call(msgspec.Struct, Generic[T], frozen=True):
    """What to send, and how to read the answer. `read` raises msgspec.DecodeError.

    Whatever `writes` carries an idempotency key; `key` is the caller's own. Our own operations
    need no `session`. An `idempotent` write comes to the same when it is done twice; another one
    may know how to `settle` what became of it when its answer was lost. What is told in a `secret`
    answer, no error may show. A `bare` call names all of its headers, tokens too.
    """

    method: str
    path: str
    read: Callable[[Response], T]
    body: bytes | None = None
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    session: bool = True
    writes: bool | None = None
    idempotent: bool = False
    settle: Callable[[], Steps[T]] | None = None
    secret: bool = False
    bare: bool = False

    def __post_init__(self) -> None:
        if self.key is not None and not _KEY.fullmatch(self.key):
            raise ValueError(
                f"idempotency_key {self.key!r}: use 1 to 128 printable ASCII characters"
            )

    @property
    def is_write(self) -> bool:
        return self.method == "POST" if self.writes is None else self.writes


class Settled(msgspec.Struct, Generic[T], frozen=True):
    """What a write comes to of which nothing is missing any more."""

    result: T


Steps: TypeAlias = Generator[Call[Any], Any, Call[T] | Settled[T]]
"""Calls to carry, each answered by its result; at the end the call that brings the whole, or the
whole itself."""


class Performer(Protocol):
    """Carries calls."""

    def perform(self, call: Call[T], **options: Unpack[CallOptions]) -> T:
        """The result of a call. Raises ApiError, ConfigurationError."""
        ...

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """One that carries calls with other options. Raises ConfigurationError."""
        ...


class AsyncPerformer(Protocol):
    """Carries calls for coroutines."""

    def perform(self, call: Call[T], **options: Unpack[CallOptions]) -> Awaitable[T]:
        """As `Performer.perform`."""
        ...

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """As `Performer.with_options`."""
        ...


def making(make: Callable[[S], T], call: Call[S]) -> Call[T]:
    """The call that makes something of what another one reads."""
    made: Call[Any] = msgspec.structs.replace(
        call, read=lambda response: make(call.read(response)), settle=None
    )
    return made


def paged(
    call: Call[S], items_of: Callable[[S], Iterable[T]], next_of: Callable[[S], str | None]
) -> Call[Page[T]]:
    """The call that reads a page out of what another one reads."""
    return making(lambda told: Page(tuple(items_of(told)), next_of(told)), call)


def change_number(response: Response) -> int | None:
    """The number of the change that a write was; None from a server that keeps no ledger."""
    told = response.headers.get("fotapool-change", "")
    return int(told) if re.fullmatch("[0-9]{1,18}", told) else None


def is_replayed(response: Response) -> bool:
    """Whether a write had been carried out before, under the same key."""
    return response.headers.get("idempotency-replayed") == "true"


def path_of_account(before: str, account: str) -> str:
    """A path that names an account. Raises ValueError for a name that no URL can carry."""
    if account in ("", ".", ".."):
        raise ValueError(f"account {account!r}: no account has this name")
    return before + quote(account, safe="")


def list_of_imeis(imeis: Iterable[str]) -> list[str]:
    """Raises TypeError for a single text, whose characters would pass for a list."""
    if isinstance(imeis, str):
        raise TypeError("imeis must be a list of IMEIs, not one text: write [imei]")
    return list(imeis)


def query_of(asked: dict[str, str | None]) -> str:
    """The query of a URL with what is given, its question mark before it."""
    given = {name: value for name, value in asked.items() if value is not None}
    return "?" + urlencode(given) if given else ""
