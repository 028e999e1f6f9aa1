"""The numbered steps of the schema: the same for every engine, in its own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from fotapool.store.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, in SQL with the engine's words left open."""

    number: int
    text: str

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Its statements, one by one: engines would commit between them if given all at once."""
        pending = ""
        for line in dialect.render(self.text).splitlines(keepends=True):
            pending += line
            if sqlite3.complete_statement(pending):
                yield pending
                pending = ""


def _load_migrations() -> tuple[Migration, ...]:
    folder = resources.files("fotapool.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), (folder / name).read_text("utf-8")) for name in names)


MIGRATIONS = _load_migrations()
