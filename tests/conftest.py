"""Fixtures every test file may ask for, and what the runner says at the end."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import described
from fotapool.api import Api, Call, Reply, Request
from fotapool.model import Change
from fotapool.server.shell import Logged
from fotapool.store import SqliteStore
from fotapool.testing.books import Books
from world import Clock, World

FORBID_SKIPS = "FOTAPOOL_FORBID_SKIPS"
KEPT_VARIABLES = {"FOTAPOOL_SOAK", FORBID_SKIPS}

heavy_seconds: defaultdict[str, float] = defaultdict(float)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["file", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[World]:
    """A fresh world, once on a file and once in memory."""
    store = SqliteStore(tmp_path / "pool.db" if request.param == "file" else None, clock=clock)
    yield World(store, clock)
    store.close()


@pytest.fixture
def small_world(clock: Clock) -> Iterator[World]:
    """A fresh world in memory, where it does not matter which."""
    store = SqliteStore(None, clock=clock)
    yield World(store, clock)
    store.close()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine reaches a test."""
    for name in os.environ:
        if name.startswith("FOTAPOOL_") and name not in KEPT_VARIABLES:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def answers_are_described(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every answer that a test sees of the API is as the API's description says."""
    respond, exchange, answer = Api.respond, Logged.__call__, Books.answer

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

    def answer_checked(self: Books, call: Call) -> tuple[Reply, Change | None]:
        reply, change = answer(self, call)
        asked = call.request
        described.check(asked.method, asked.path, reply.status, reply.headers, reply.body)
        return reply, change

    monkeypatch.setattr(Books, "answer", answer_checked)
    monkeypatch.setattr(Api, "respond", respond_checked)
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
