"""A server's whole inside as tests need it: a clock to turn, an account, people who may call."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fotapool.api import Api, Reply, Request
from fotapool.auth import Auth, Credentials, Secrets
from fotapool.client import Client, HttpRequest, Response
from fotapool.ledger import Ledger
from fotapool.ledger.history import History
from fotapool.ledger.registry import Registry
from fotapool.model import (
    AccountKey,
    Change,
    Command,
    Cursor,
    DeviceList,
    Page,
    PurchaseType,
    Refused,
    Role,
    Totals,
    Verb,
)
from fotapool.server.process import Server, bind
from fotapool.server.settings import Settings
from fotapool.store import GroupedStore, SqliteStore
from fotapool.wire.login import write_basic

ACCOUNT = "0000123456-00001"
NOON_MS = 1_511_971_422_000
"""2017-11-29T16:03:42Z, the documented example's moment."""


class Clock:
    """A clock that stands still until it is told to move, also backwards."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, *, minutes: float = 0, seconds: float = 0, ms: int = 0) -> None:
        self.now_ms += int(minutes * 60_000 + seconds * 1000) + ms


@dataclass
class World:
    """Store, ledger, logins and API over one database, with one clock."""

    store: GroupedStore
    clock: Clock
    settings: Settings = field(default_factory=lambda: Settings(port=0))

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store, self.clock)
        self.history = History(self.store, self.clock)
        self.credentials = Credentials(self.store, clock=self.clock, random=os.urandom)
        self.auth = Auth(self.store, clock=self.clock, random=os.urandom)
        self.registry = Registry(self.store)
        self.api = Api(
            self.ledger, self.history, self.registry, self.auth, items_max=self.settings.items_max
        )

    @property
    def sqlite(self) -> SqliteStore:
        """The store, where a test is about SQLite alone."""
        assert isinstance(self.store, SqliteStore)
        return self.store

    def add_account(
        self,
        name: str = ACCOUNT,
        *,
        licenses: int = 1000,
        devices: Sequence[int] = (),
        purchase_type: PurchaseType = PurchaseType.MRC,
    ) -> AccountKey:
        made = self.ledger.create_account(
            name,
            purchase_type=purchase_type,
            licenses=licenses,
            actor="cli:test",
            request_id=os.urandom(16),
        )
        if devices:
            self.carry_out(made.account, Verb.REGISTER, [f"{imei:015d}" for imei in devices])
        return made.account

    def carry_out(
        self, account: AccountKey, verb: Verb, items: Sequence[str] = (), **more: Any
    ) -> Change:
        return self.ledger.submit(self.command(account, verb, items, **more)).result()

    def command(
        self, account: AccountKey, verb: Verb, items: Sequence[str] = (), **more: Any
    ) -> Command:
        devices = DeviceList.parse(items)
        return Command(account, verb, devices, "cli:test", os.urandom(16), **more)

    def totals(self, account: AccountKey) -> Totals:
        return self.store.read(lambda snapshot: snapshot.account(account.id)).totals

    def page(self, account: AccountKey, cursor: Cursor, size: int) -> Page:
        return self.store.read(lambda snapshot: snapshot.page(account, cursor, size))

    def refusal_of(
        self, account: AccountKey, verb: Verb, items: Sequence[str] = (), **more: Any
    ) -> Refused:
        return self.refusal_of_command(self.command(account, verb, items, **more))

    def refusal_of_command(self, command: Command) -> Refused:
        refused = self.ledger.submit(command).exception(10)
        assert isinstance(refused, Refused), refused
        return refused

    def log_in(self, secrets: Secrets) -> Login:
        identity = self.auth.identify(
            self.auth.issue_token(secrets.client_id, secrets.client_secret)[0]
        )
        bearer = self.auth.issue_token(secrets.client_id, secrets.client_secret)[0]
        session = self.auth.log_in(identity, secrets.username, secrets.password)
        return Login(self, bearer, session, secrets)

    def add_login(
        self, *accounts: str, role: Role = Role.OPERATOR, name: str | None = None
    ) -> Login:
        return self.log_in(self.credentials.create(accounts or (ACCOUNT,), role=role, name=name))

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request straight into the API, as the shell would hand it over."""
        return self.api.respond(Request(method, path, query, headers or {}, body, os.urandom(16)))

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The same database served on a socket; gives the base URL."""
        server = Server(self.store, self.settings, clock=self.clock, random=os.urandom)
        with bind("127.0.0.1", 0) as listening, server.running(listening) as url:
            yield url


@dataclass
class Login:
    """Somebody with both tokens."""

    world: World
    bearer: str
    session: str
    secrets: Secrets

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.bearer}", "vz-m2m-token": self.session}

    def get(self, path: str, query: str = "") -> Reply:
        return self.world.ask("GET", path, query=query, headers=self.headers)

    def post(self, path: str, body: object, *, query: str = "", **headers: str) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.world.ask("POST", path, body=raw, query=query, headers=self.headers | more)

    def client(self, url: str, **settings: Any) -> Client:
        return client_of(self.secrets, url, **settings)


def client_of(secrets: Secrets, url: str, **settings: Any) -> Client:
    return Client(
        base_url=url,
        client_id=secrets.client_id,
        client_secret=secrets.client_secret,
        username=secrets.username,
        password=secrets.password,
        **settings,
    )


def basic_of(secrets: Secrets) -> dict[str, str]:
    return {"authorization": write_basic(secrets.client_id, secrets.client_secret)}


class Script:
    """A transport that answers from a list, and remembers what it was sent."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
        return self.send(request, timeout_s)

    async def close_async(self) -> None:
        pass

    def close(self) -> None:
        pass


def answer(status: int, body: object = b"", **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def error_of(reply: Reply) -> tuple[int, str, str]:
    """Status, code and message of a refusal in the service's own shape."""
    told = json.loads(reply.body)
    return reply.status, told["errorCode"], told["errorMessage"]


def header_of(reply: Reply, name: str) -> str | None:
    return next((value for known, value in reply.headers if known == name), None)


def open_file(path: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(path, clock=clock)


def open_memory(clock: Clock) -> World:
    return World(SqliteStore(None, clock=clock), clock)


def needs(tool: str) -> pytest.MarkDecorator:
    """Skips, by name, where a program is not on this machine."""
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not on this machine")


def imeis(count: int, first: int = 990003425730000) -> list[int]:
    return [first + at for at in range(count)]
