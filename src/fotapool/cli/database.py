"""`fotapool admin migrate`, `backup`, `distribute`: the database itself."""

from __future__ import annotations

import time
from pathlib import Path

import click

from fotapool.cli._options import clock, db_option, emit, emit_json, now_and_then, output_options


@click.command("migrate")
@db_option()
@output_options
def migrate_database(db: str, json: bool) -> None:
    """Bring the database to the schema of this version.

    PostgreSQL is migrated by this command alone; an SQLite file is also by any other that opens
    it. Safe to run twice, and beside a server of the same version.
    """
    from fotapool.store import migrate, shown_url

    before, after = migrate(db, clock=clock)
    if json:
        emit_json({"db": shown_url(db), "schema_before": before, "schema": after})
    elif before == after:
        emit(f"{shown_url(db)} has schema {after} already")
    else:
        emit(f"{shown_url(db)} now has schema {after} (before: {before or 'none'})")


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@db_option()
@output_options
def back_up_database(file: Path, db: str, json: bool) -> None:
    """Copy a live SQLite database to FILE, as it is at one moment; writing goes on meanwhile.

    For PostgreSQL use its own tools: pg_dump, or pg_basebackup with an archive of the log.
    """
    from fotapool.store import back_up

    started_s = time.monotonic()
    size = back_up(db, file, now_and_then(_copied))
    seconds = time.monotonic() - started_s
    if json:
        emit_json({"file": str(file), "bytes": size, "seconds": round(seconds, 3)})
    else:
        emit(f"{file}: {size:,} bytes in {seconds:.1f} s, checked and whole")


def _copied(pages: int, total: int) -> str:
    return f"{pages:,} of {total:,} pages copied"


@click.command("distribute")
@db_option()
@output_options
def distribute_database(db: str, json: bool) -> None:
    """Spread a PostgreSQL database over the nodes of a Citus cluster, by account.

    Safe to run twice. Says so where the extension is not there, and then changes nothing.
    """
    from fotapool.store import distribute, shown_url

    tables = distribute(db)
    if json:
        emit_json({"db": shown_url(db), "tables": tables})
    else:
        emit(f"{len(tables)} tables distributed" + "".join(f"\n  {name}" for name in tables))
