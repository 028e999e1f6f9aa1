"""A PostgreSQL database: reaching it, knowing its schema, bringing it up to this version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from fotapool.model import Clock, ConfigurationError, StoreUnusable
from fotapool.store import statements_directory as sql
from fotapool.store.dialect import POSTGRES
from fotapool.store.postgres_connection import ADAPTERS
from fotapool.store.postgres_errors import first_line
from fotapool.store.schema import MIGRATIONS, Migration

_OPTIONS = {
    # Each statement seeks by a key. A plan made while a table was small must not walk it later.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "lock_timeout": "10s",
    # A process that vanished with its machine must not hold an account for long.
    "idle_in_transaction_session_timeout": "60s",
}
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "target_session_attrs": "read-write",
    "application_name": "fotapool",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_LOCK_MIGRATIONS = "SELECT pg_advisory_lock(hashtext('fotapool'), hashtext('migration'))"


def connecting(url: str) -> dict[str, Any]:
    """How to connect: what the URL says before what we would choose.

    Raises ConfigurationError for a URL that libpq cannot read.
    """
    try:
        told = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"the database URL cannot be read: {first_line(error)}") from None
    ours = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
    options = f"{ours} {told.pop('options', '')}".strip()
    return {
        **_DEFAULTS,
        **told,
        "options": options,
        "autocommit": True,
        "context": ADAPTERS,
        "cursor_factory": psycopg.RawCursor,
    }


def configure(raw: psycopg.Connection[Any]) -> None:
    """Make a new connection ours: every statement stays prepared on it."""
    raw.prepared_max = None


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own. Raises StoreUnusable where there is none to be had."""
    try:
        raw = psycopg.connect(**connecting(url))
    except psycopg.Error as error:
        raise StoreUnusable(f"the database cannot be reached: {first_line(error)}") from error
    with raw:
        configure(raw)
        yield raw


def check_schema(url: str) -> None:
    """Raises StoreUnusable unless the database has the schema of this version."""
    newest = MIGRATIONS[-1].number
    with connected(url) as raw:
        found = _version(raw)
    _check_not_newer(found, newest)
    if found < newest:
        state = f"has schema {found}, and this fotapool needs {newest}" if found else "is empty"
        raise StoreUnusable(f"the database {state}; bring it there with: fotapool admin migrate")


def migrate(
    url: str, *, clock: Clock, migrations: Sequence[Migration] = MIGRATIONS
) -> tuple[int, int]:
    """Bring the database to the schema of this version; gives the schema before and after.

    Safe to run twice, also at once: one waits for the other. All of it is one transaction.
    Raises StoreUnusable, and then nothing was changed.
    """
    newest = migrations[-1].number
    with connected(url) as raw:
        raw.execute("SET lock_timeout = 0")
        raw.execute(_LOCK_MIGRATIONS)
        found = _version(raw)
        _check_not_newer(found, newest)
        try:
            with raw.transaction():
                for migration in migrations:
                    if migration.number > found:
                        _apply(raw, migration, clock)
        except psycopg.Error as error:
            raise StoreUnusable(
                f"the database could not be migrated, and was left as it is: {first_line(error)}"
            ) from error
    return found, newest


def _apply(raw: psycopg.Connection[Any], migration: Migration, clock: Clock) -> None:
    for statement in migration.statements(POSTGRES):
        raw.execute(statement.encode())
    noted = POSTGRES.render(sql.MIGRATION_INSERT).encode()
    raw.execute(noted, (migration.number, clock()))


def _version(raw: psycopg.Connection[Any]) -> int:
    """The last migration applied; 0 for a database without our tables."""
    try:
        row = raw.execute(sql.MIGRATION_LAST).fetchone()
    except errors.UndefinedTable:
        return 0
    return int(row[0] or 0) if row else 0


def _check_not_newer(found: int, newest: int) -> None:
    if found > newest:
        raise StoreUnusable(
            f"the database has schema {found}, made by a newer fotapool; this one knows up to "
            f"{newest}. Use the newer version; nothing was changed"
        )


DISTRIBUTED = (
    *("account", "device", "license", "span", "change", "idempotency"),
    *("granted", "pending", "candidate", "upgrade", "upgrade_item"),
)
"""Pool tables: each account's rows together, on one node."""

REFERENCE = (
    *("account_name", "credential", "credential_account", "token", "session"),
    *("heartbeat", "migration"),
)
"""Directory tables: whole, on every node."""


def distribute(url: str) -> list[str]:
    """Spread the tables over the nodes of a Citus cluster by account; gives those it moved.

    Safe to run twice. Raises StoreUnusable where the extension is not there, or will not.
    """
    with connected(url) as raw:
        if _scalar(raw, "SELECT to_regproc('create_distributed_table')") is None:
            raise StoreUnusable(
                "this database has no Citus: install the extension on every node, "
                "CREATE EXTENSION citus here, and add the nodes; nothing was changed"
            )
        known = raw.execute(b"SELECT table_name::text FROM citus_tables").fetchall()
        done = {name.removeprefix("public.") for (name,) in known}
        try:
            for table in REFERENCE:
                if table not in done:
                    raw.execute(b"SELECT create_reference_table($1)", (table,))
            for table in DISTRIBUTED:
                if table not in done:
                    beside = "default" if table == DISTRIBUTED[0] else DISTRIBUTED[0]
                    raw.execute(
                        b"SELECT create_distributed_table($1, 'account', colocate_with => $2)",
                        (table, beside),
                    )
        except psycopg.Error as error:
            raise StoreUnusable(
                f"Citus would not: {first_line(error)}; run it again once that is mended"
            ) from error
    return [table for table in (*REFERENCE, *DISTRIBUTED) if table not in done]


def _scalar(raw: psycopg.Connection[Any], statement: str) -> Any:
    row = raw.execute(statement.encode()).fetchone()
    return row[0] if row else None
