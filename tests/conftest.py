"""Fixtures every test file may ask for, and what the runner says at the end."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import colours
import described
import postgres
import world as world_module
from databases import Database
from fotapool.api import Api, Call, Reply, Request
from fotapool.model import Change
from fotapool.server.exchange import Exchange
from fotapool.server.log import LOGGER
from fotapool.server.pages import Logged
from fotapool.store import open_store
from fotapool.testing import emulator as emulator_module
from fotapool.testing.books import Books
from postgres import Databases
from world import Clock, World

FORBID_SKIPS = "FOTAPOOL_FORBID_SKIPS"
ENGINE = "FOTAPOOL_TEST_ENGINE"
"""`postgres`: every test that does not say otherwise runs there (`make soak` sets it)."""
KEPT_VARIABLES = {"FOTAPOOL_SOAK", FORBID_SKIPS, ENGINE, postgres.NAMED}
NETWORK_VARIABLES = {
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "ssl_cert_file",
    "ssl_cert_dir",
}

heavy_seconds: defaultdict[str, float] = defaultdict(float)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Databases]:
    """A PostgreSQL server, whose databases tests may have one after another."""
    if lacking := postgres.missing():
        pytest.skip(f"{', '.join(lacking)} is not on this machine")
    # What survives a killed process is tested with servers of their own, which sync.
    with postgres.server(fsync="off") as url:
        databases = Databases(url)
        yield databases
        databases.drop_all()


@pytest.fixture
def postgres_url(postgres_server: Databases) -> Iterator[str]:
    """A database with the schema in it and nothing else."""
    with postgres_server.empty() as url:
        yield url


@pytest.fixture(params=["file", "memory", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[World]:
    """A fresh world, once on a file, once in memory, and once on PostgreSQL."""
    urls = {"file": f"sqlite:///{tmp_path}/pool.db", "memory": "sqlite:///:memory:"}
    url = urls.get(request.param) or request.getfixturevalue("postgres_url")
    store = open_store(url, clock=clock)
    yield World(store, clock)
    store.close()


@pytest.fixture
def small_world(request: pytest.FixtureRequest, clock: Clock) -> Iterator[World]:
    """A fresh world where it does not matter which: in memory, or where `ENGINE` says."""
    url = "sqlite:///:memory:"
    if os.environ.get(ENGINE) == "postgres" and not request.node.get_closest_marker("sqlite"):
        url = request.getfixturevalue("postgres_url")
    store = open_store(url, clock=clock)
    yield World(store, clock)
    store.close()


@pytest.fixture
def file_database(tmp_path: Path) -> Database:
    """A new database in a file."""
    return Database(f"sqlite:///{tmp_path / 'pool.db'}", servers=1)


@pytest.fixture
def postgres_database(postgres_url: str) -> Database:
    """A new database in PostgreSQL, for two servers."""
    return Database(postgres_url, servers=2)


@pytest.fixture(params=["file_database", "postgres_database"], ids=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """A new database of each engine, for servers that are processes."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["Client", "AsyncClient"])
def colour(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A test's clients: `Client` once, and once `AsyncClient` under the same calls."""
    if request.param == "AsyncClient":
        with colours.running() as made:
            for module in (request.module, world_module, emulator_module):
                monkeypatch.setattr(module, "Client", made, raising=False)
            yield request.param
    else:
        yield request.param


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine reaches a test."""
    for name in os.environ:
        ours = name.startswith("FOTAPOOL_") and name not in KEPT_VARIABLES
        if ours or name.lower() in NETWORK_VARIABLES:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def log_lines_stay_in_their_test() -> Iterator[None]:
    """What a command sets up for its log lines, the next test knows nothing of."""
    handlers, level, propagate = list(LOGGER.handlers), LOGGER.level, LOGGER.propagate
    yield
    LOGGER.handlers, LOGGER.propagate = handlers, propagate
    LOGGER.setLevel(level)


@pytest.fixture(autouse=True)
def answers_are_described(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every answer that a test sees of the API is as the API's description says."""
    respond, exchange, write = Api.respond, Logged.__call__, Exchange._write
    answer = Books.answer

    def respond_checked(self: Api, request: Request) -> Reply:
        reply = respond(self, request)
        described.check(request.method, request.path, reply.status, reply.headers, reply.body)
        return reply

    async def exchange_checked(self: Logged, scope: Any, receive: Any, send: Any) -> None:
        start: dict[str, Any] = {}
        chunks: list[bytes] = []

        async def send_noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                chunks.append(message.get("body", b""))
            await send(message)

        await exchange(self, scope, receive, send_noted)
        if start:
            headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
            path = scope["raw_path"].decode("ascii", "replace")
            described.check(scope["method"], path, start["status"], headers, b"".join(chunks))

    def write_checked(self: Exchange, reply: Reply) -> None:
        write(self, reply)
        told = self.told
        described.check(told.method, told.path, reply.status, self.headers(reply), reply.body)

    def answer_checked(self: Books, call: Call) -> tuple[Reply, Change | None]:
        reply, change = answer(self, call)
        asked = call.request
        described.check(asked.method, asked.path, reply.status, reply.headers, reply.body)
        return reply, change

    monkeypatch.setattr(Books, "answer", answer_checked)
    monkeypatch.setattr(Api, "respond", respond_checked)
    monkeypatch.setattr(Exchange, "_write", write_checked)
    monkeypatch.setattr(Logged, "__call__", exchange_checked)
    yield
    noted, described.violations[:] = list(described.violations), []
    assert noted == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where skips are forbidden, what is missing on the machine is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(FORBID_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"skipped where {FORBID_SKIPS} allows none: {report.longrepr}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "heavy" in report.keywords:
        heavy_seconds[report.nodeid.partition("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for group, seconds in heavy_seconds.items():
        terminalreporter.write_line(f"heavy group {group}: {seconds:.0f} s")
