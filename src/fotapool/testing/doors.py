"""Two ways into a test: in process, and on a socket. Both keep the test from other hosts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fotapool.client import Client, HttpRequest, Response, Urllib3Transport, standing_in
from fotapool.model import ConfigurationError
from fotapool.testing.arming import Faults
from fotapool.testing.clock import EmulatorClock
from fotapool.testing.emulator import Emulator
from fotapool.testing.guard import Guard, guarding
from fotapool.testing.journal import Journal
from fotapool.testing.scenario import Login, Scenario
from fotapool.testing.transport import InProcessTransport

if TYPE_CHECKING:
    from fotapool.client.aio import AsyncClient

OFFICIAL_HOST = "https://thingspace.verizon.com/api"

_TOKENS = ("FOTAPOOL_ACCESS_TOKEN", "FOTAPOOL_SESSION_TOKEN")


@contextmanager
def emulated(
    scenario: Scenario | None = None,
    *,
    strict: bool = False,
    allow_hosts: Iterable[str] = (),
    test: str = "the test",
) -> Iterator[Emulator]:
    """An emulator that stands in for the service while the block runs.

    Every `Client` of this process that has no transport of its own talks to it, and finds its
    login in the environment. A connection to any host but this machine and `allow_hosts` raises
    OtherHostCalled, and so does the end of the block where that was caught. With `strict`, a
    request with a remark is refused, and the end of the block raises AssertionError.
    """
    guard = Guard(test, allow_hosts)
    with (
        Emulator(scenario, strict=strict) as emulator,
        standing(emulator, guard),
    ):
        yield emulator
        verify(emulator, guard)


@contextmanager
def emulated_live(
    scenario: Scenario | None = None,
    *,
    strict: bool = False,
    allow_hosts: Iterable[str] = (),
    test: str = "the test",
) -> Iterator[Live]:
    """The same on a socket of this machine, for other SDKs, languages and processes."""
    guard = Guard(test, allow_hosts)
    with Emulator(scenario, strict=strict) as emulator, live(emulator, guard) as served:
        yield served
        verify(emulator, guard)


@contextmanager
def standing(emulator: Emulator, guard: Guard) -> Iterator[None]:
    """Let an emulator stand in for every client without a transport of its own."""
    stand_in = _StandIn(emulator, guard)
    with guarding(guard), environment(emulator.environment()), standing_in(stand_in):
        try:
            yield
        finally:
            stand_in.close()


@contextmanager
def live(emulator: Emulator, guard: Guard) -> Iterator[Live]:
    """Serve an emulator on a free port, with its address and login in the environment."""
    from fotapool.testing.serving import serving  # noqa: PLC0415 -- needs uvicorn, which others do not

    with serving(emulator) as url, guarding(guard), environment(emulator.environment(url)):
        guard.allow(urlsplit(url).netloc)
        served = Live(emulator, url)
        try:
            yield served
        finally:
            served.close()


def verify(emulator: Emulator, guard: Guard) -> None:
    """Raises AssertionError for what must fail the test, though the test itself may not know."""
    guard.verify()
    if emulator.strict:
        emulator.requests.assert_clean()


class Live:
    """An emulator on a socket. `base_url` is where, `env` what another process needs to know."""

    def __init__(self, emulator: Emulator, base_url: str) -> None:
        self.emulator = emulator
        self.base_url = base_url
        self.env: dict[str, str] = emulator.environment(base_url)
        self._hosts: list[tuple[dict[Any, str], dict[Any, str]]] = []

    @property
    def scenario(self) -> Scenario:
        return self.emulator.scenario

    @property
    def snapshots(self) -> list[str]:
        return self.emulator.snapshots

    @property
    def clock(self) -> EmulatorClock:
        return self.emulator.clock

    @property
    def faults(self) -> Faults:
        return self.emulator.faults

    @property
    def requests(self) -> Journal:
        return self.emulator.requests

    @property
    def account(self) -> str:
        return self.emulator.account

    @property
    def devices(self) -> tuple[str, ...]:
        return self.emulator.devices

    @property
    def login(self) -> Login:
        return self.emulator.login

    @cached_property
    def client(self) -> Client:
        """A client of ours, over the socket."""
        return self.new_client()

    def new_client(self, **settings: Any) -> Client:
        """Another client over the socket, with arguments of `Client` in place of ours."""
        over = {"base_url": self.base_url, "transport": Urllib3Transport()}
        return self.emulator.new_client(**{**over, **settings})

    def new_async_client(self, **settings: Any) -> AsyncClient:
        """A client for coroutines over the socket; close it in the event loop that used it."""
        from fotapool.client.aio import AiohttpTransport  # noqa: PLC0415 -- others do without

        over = {"base_url": self.base_url, "transport": AiohttpTransport()}
        return self.emulator.new_async_client(**{**over, **settings})

    def reset(self, *, to_empty: bool = False) -> None:
        self.emulator.reset(to_empty=to_empty)

    def snapshot(self, name: str = "default") -> None:
        self.emulator.snapshot(name)

    def restore(self, name: str = "default") -> None:
        self.emulator.restore(name)

    def repoint_official_sdk(self) -> None:
        """Point the vendor's Python SDK here: its host table, until the end of the test.

        Clients of it are to be made afterwards. Raises ConfigurationError where it is not
        installed.
        """
        try:
            from verizon.configuration import Configuration, Environment  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "the official SDK is not installed: pip install sdksio-verizon-apis-sdk"
            ) from error
        table: dict[Any, str] = Configuration.environments[Environment.PRODUCTION]
        self._hosts.append((table, dict(table)))
        for server, url in table.items():
            table[server] = url.replace(OFFICIAL_HOST, self.base_url + "/api")

    def close(self) -> None:
        """Let go of connections, and put the official SDK's table back."""
        if "client" in vars(self):
            self.client.close()
        while self._hosts:
            table, before = self._hosts.pop()
            table.update(before)


class _StandIn(InProcessTransport):
    """Carries to the emulator whatever is not for a host that the test allows by name."""

    def __init__(self, emulator: Emulator, guard: Guard) -> None:
        super().__init__(emulator.exchange, emulator.clock)
        self._guard = guard

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        parts = urlsplit(request.url)
        if self._guard.names(parts.hostname or "", parts.netloc):
            return self._network.send(request, timeout_s)
        return super().send(request, timeout_s)

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        parts = urlsplit(request.url)
        if self._guard.names(parts.hostname or "", parts.netloc):
            import asyncio  # noqa: PLC0415 -- whoever awaits this has it already

            return await asyncio.to_thread(self._network.send, request, timeout_s)
        return await super().send_async(request, timeout_s)

    def close(self) -> None:
        if "_network" in vars(self):
            self._network.close()

    @cached_property
    def _network(self) -> Urllib3Transport:
        return Urllib3Transport()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """While the block runs, these are the variables of our clients, and no others."""
    names = [*variables, *_TOKENS]
    before = {name: os.environ.get(name) for name in names}
    for name in _TOKENS:
        os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
