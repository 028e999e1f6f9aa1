"""The emulator as a value: its handles, going back and forth, and clients of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from fotapool.client import Client
from fotapool.client.network import ALLOW_HTTP, is_exposed
from fotapool.model import NotFound
from fotapool.testing.arming import Faults
from fotapool.testing.books import IN_MEMORY, Books
from fotapool.testing.clock import EmulatorClock
from fotapool.testing.desk import Desk
from fotapool.testing.journal import Journal
from fotapool.testing.scenario import START, Login, Scenario
from fotapool.testing.transport import Exchange, InProcessTransport

if TYPE_CHECKING:
    from fotapool.client.aio import AsyncClient

BASE_URL = "http://fota.test"
"""Where the in-process emulator seems to be; every other address leads to it as well."""


class Emulator:
    """A license service of one's own: the real rules, a clock and faults to turn.

    `clock`, `faults` and `requests` (the journal) are the handles of a test. With `strict` a
    request with a remark (an unknown path, a malformed IMEI, a deprecated call) is refused. `speed`
    is that of its clock, `url` a database that outlives it. A context manager that closes the
    database. Raises ConfigurationError for an impossible scenario.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        strict: bool = False,
        speed: float = 0.0,
        url: str = IN_MEMORY,
    ) -> None:
        self.scenario: Scenario = scenario or Scenario()
        self.clock: EmulatorClock = EmulatorClock(self._start(speed), speed=speed)
        self._speed = speed
        self.faults: Faults = Faults()
        self.strict = strict
        self.books: Books = Books(self.scenario, self.clock, url=url)
        # A database of earlier goes on from where it was.
        self.clock.advance(seconds=max(0, self.books.changed_at_ms - self.clock()) / 1000)
        self.requests: Journal = Journal(self.scenario, self.books.store)
        self._snapshots: dict[str, _Snapshot] = {}
        self._desk = Desk(self.books, self.clock, self.faults, self.requests, strict=strict)
        self.exchange: Exchange = self._desk.exchange
        """What comes back for a method, path, query, headers and body, and how it travels."""
        self.generation: int = 0
        """Counts resets; what an answer still waits for ends with its generation."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.generation += 1
        self.books.close()

    # --- what a test asks of it --------------------------------------------------------------

    @property
    def account(self) -> str:
        """The name of the scenario's first account."""
        return self.scenario.accounts[0].name

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices with which the first account began."""
        return self.scenario.accounts[0].imeis

    @property
    def login(self) -> Login:
        """The scenario's first login."""
        return self.scenario.logins[0]

    def environment(self, base_url: str = BASE_URL) -> dict[str, str]:
        """The variables by which a client of ours finds the emulator and logs in."""
        login = self.login
        exposed = base_url != BASE_URL and is_exposed(base_url)
        return {
            "FOTAPOOL_BASE_URL": base_url,
            **({ALLOW_HTTP: "1"} if exposed else {}),  # what it guards is the emulator's own
            "FOTAPOOL_CLIENT_ID": login.client_id,
            "FOTAPOOL_CLIENT_SECRET": login.client_secret,
            "FOTAPOOL_USERNAME": login.username,
            "FOTAPOOL_PASSWORD": login.password,
        }

    def reset(self, *, to_empty: bool = False) -> None:
        """Back to the scenario: books, clock, faults and journal. Snapshots stay."""
        self.generation += 1
        self.faults.clear()
        self.clock.set(self._start(self._speed))
        self.clock.run(self._speed)
        self.books.reset(to_empty=to_empty)
        self._desk.forget()

    def snapshot(self, name: str = "default") -> None:
        """Keep books and clock as they stand, under a name."""
        self._snapshots[name] = _Snapshot(self.books.image(), self.clock())

    def restore(self, name: str = "default") -> None:
        """Go back to a snapshot. Faults stay armed, the journal begins anew. Raises NotFound."""
        kept = self._snapshots.get(name)
        if kept is None:
            known = ", ".join(sorted(self._snapshots)) or "none"
            raise NotFound(f"there is no snapshot {name!r}; there are: {known}")
        self.generation += 1
        self.clock.advance(seconds=(kept.at_ms - self.clock()) / 1000)
        self.books.put_back(kept.image)
        self._desk.forget()

    @property
    def snapshots(self) -> list[str]:
        """The names of what was kept."""
        return sorted(self._snapshots)

    def _start(self, speed: float) -> datetime:
        return self.scenario.now or (datetime.now(UTC) if speed else START)

    # --- clients -----------------------------------------------------------------------------

    @functools.cached_property
    def client(self) -> Client:
        """A client of this emulator, logged in by its first login when it needs to be."""
        return self.new_client()

    def new_client(self, **settings: Any) -> Client:
        """Another client, with arguments of `Client` in place of ours."""
        return Client(**{**self._settings(), **settings})

    @functools.cached_property
    def async_client(self) -> AsyncClient:
        """The same for coroutines."""
        return self.new_async_client()

    def new_async_client(self, **settings: Any) -> AsyncClient:
        """Another client for coroutines, with arguments of `AsyncClient` in place of ours."""
        from fotapool.client.aio import AsyncClient  # noqa: PLC0415 -- others do without asyncio

        return AsyncClient(**{**self._settings(), **settings})

    def _settings(self) -> dict[str, Any]:
        login = self.login
        return {
            "client_id": login.client_id,
            "client_secret": login.client_secret,
            "username": login.username,
            "password": login.password,
            "base_url": BASE_URL,
            # The environment may hold tokens of another server.
            "access_token": "",
            "session_token": "",
            "transport": self.transport,
        }

    @functools.cached_property
    def transport(self) -> InProcessTransport:
        """What carries requests here without a socket, for clients with settings of their own."""
        return InProcessTransport(self.exchange, self.clock)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    image: bytes = field(repr=False)
    at_ms: int
