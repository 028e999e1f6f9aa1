"""Fixtures every test file may ask for. Nothing here is shared between two tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from world import Clock, World

from fotapool.store import SqliteStore


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
    import os

    for name in os.environ:
        if name.startswith("FOTAPOOL_") and name != "FOTAPOOL_SOAK":
            monkeypatch.delenv(name)
