"""The database file: making it, knowing it for ours, bringing it up to this version, locking it."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from fotapool.model import Clock, StoreDamaged, StoreUnusable
from fotapool.store import statements_directory as sql
from fotapool.store.dialect import SQLITE
from fotapool.store.schema import MIGRATIONS, Migration
from fotapool.store.sqlite_errors import errors_mapped, is_busy, is_damage, read_text

SQLITE_VERSION_MIN = (3, 38, 0)
APPLICATION_ID = 0x464F5441
"""The letters FOTA in the file's header: how we know a database for ours."""

BUSY_TIMEOUT_S = 10.0

_HEADER_SIZE = 100
_MAGIC = b"SQLite format 3\x00"


def prepare_file(path: Path, clock: Clock, migrations: Sequence[Migration]) -> None:
    """Make the file or bring it up to date. Raises StoreUnusable, and then leaves it
    untouched; StoreDamaged where what stands in it cannot be read.

    An older file is first copied beside itself.
    """
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        needed = ".".join(map(str, SQLITE_VERSION_MIN))
        raise StoreUnusable(
            f"SQLite {sqlite3.sqlite_version} is too old; fotapool needs {needed} or newer"
        )
    newest = migrations[-1].number
    try:
        _check_header(path, newest)
        with closing(open_connection(path)) as connection:
            found = _version(connection)
            _check_version(path, found, newest)
            if not found:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _write_ahead(connection)
            if 0 < found < newest:
                _copy_beside(connection, path, found)
            for migration in migrations:
                if migration.number > found:
                    apply_migration(connection, migration, clock)
    except sqlite3.Error as error:
        kind = StoreDamaged if is_damage(error) else StoreUnusable
        raise kind(f"{path}: {error}") from error


def migrate_file(path: Path, clock: Clock) -> tuple[int, int]:
    """Make the file or bring it up to date; gives its schema before and after."""
    header = _header(path) if path.exists() else b""
    prepare_file(path, clock, MIGRATIONS)
    return int.from_bytes(header[60:64], "big"), MIGRATIONS[-1].number


def apply_migration(connection: sqlite3.Connection, migration: Migration, clock: Clock) -> None:
    """Run a step of the schema and note it, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) < migration.number:
            for statement in migration.statements(SQLITE):
                connection.execute(statement)
            connection.execute(sql.MIGRATION_INSERT, (migration.number, clock()))
            # Mirrored in the header, where a newer file can be known without opening it.
            connection.execute(f"PRAGMA user_version = {migration.number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log. While another process does so SQLite does not wait: we do."""
    until_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until_s:
                raise
        else:
            return
        time.sleep(0.01)


def _check_header(path: Path, newest: int) -> None:
    """Judge a file by its first bytes, so that one that is not ours is not even opened."""
    try:
        if not _create_private(path):
            _check_is_ours(path, newest)
    except OSError as error:
        raise StoreUnusable(f"{path}: {error.strerror or error}") from error


def _check_is_ours(path: Path, newest: int) -> None:
    header = _header(path)
    if not header:
        return
    application_id = int.from_bytes(header[68:72], "big")
    if not header.startswith(_MAGIC):
        raise StoreUnusable(f"{path} is not an SQLite database; give another path")
    if application_id != APPLICATION_ID:
        raise StoreUnusable(f"{path} is an SQLite database, but not fotapool's; give another path")
    _check_version(path, int.from_bytes(header[60:64], "big"), newest)


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER_SIZE)
    except OSError as error:
        raise StoreUnusable(f"{path}: {error.strerror or error}") from error


def _create_private(path: Path) -> bool:
    """Make an empty file that only its owner can read: it will hold hashes of secrets."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


def _check_version(path: Path, found: int, newest: int) -> None:
    if found > newest:
        raise StoreUnusable(
            f"{path} has schema {found}, made by a newer fotapool; this one knows up to {newest}. "
            "Use the newer version; the file was left as it is"
        )


def _version(connection: sqlite3.Connection) -> int:
    """The last migration applied; 0 for an empty database."""
    tables = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone()
    if tables is None:
        return 0
    (number,) = connection.execute(sql.MIGRATION_LAST).fetchone()
    return int(number)


def _copy_beside(connection: sqlite3.Connection, path: Path, found: int) -> None:
    copy = path.with_name(f"{path.name}.schema-{found:04d}")
    _create_private(copy)
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)


def open_connection(path: Path | None) -> sqlite3.Connection:
    """Open a connection with our settings; None is a database in memory of its own."""
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.text_factory = read_text
    # FULL: a commit is on the disk before it is answered. NORMAL would lose it with the power.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    # What a long backup let the log grow to is given back to the disk afterwards.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


@contextmanager
def opened_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can change nothing, not even bring the file up to date.

    Works beside a writer, and on a file that this user may only read. Raises StoreUnusable for a
    file that is not of this version, StoreDamaged for one that cannot be read.
    """
    _check_is_ours(path, MIGRATIONS[-1].number)
    with errors_mapped(), closing(_connect_read_only(path)) as connection:
        connection.text_factory = read_text
        found = _version(connection)
        if found != MIGRATIONS[-1].number:
            raise StoreUnusable(
                f"{path} has schema {found}, and this fotapool reads {MIGRATIONS[-1].number}; "
                "any other command brings an older file up to date"
            )
        yield connection


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """Beside a writer if there may be one; else, where no lock can be had, as it lies."""
    uri = path.resolve().as_uri()
    try:
        return _opened(uri + "?mode=ro")
    except sqlite3.OperationalError:
        # The folder takes no file to share a lock in. Without a log beside it nobody writes.
        beside = path.with_name(path.name + "-wal")
        if beside.exists() and beside.stat().st_size:
            raise
        return _opened(uri + "?immutable=1")


def _opened(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def sole_server(path: Path) -> Iterator[None]:
    """Hold the right to serve a file; the kernel lets go of it however the process ends.

    Raises StoreUnusable when another process serves it. The lock is on a file beside the
    database: opening and closing the database itself here would drop SQLite's own locks.
    """
    beside = path.with_name(path.name + "-serve")
    with beside.open("ab") as file:
        if not _lock(file):
            raise StoreUnusable(
                f"{path} is served by another process already; stop it, or serve another file"
            )
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
