"""`fotapool admin migrate`, `backup`, `distribute`: the database itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from fotapool.cli._options import clock, db_option, emit_json, note, output_options

PROGRESS_EVERY_S = 2.0


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
        click.echo(f"{shown_url(db)} has schema {after} already")
    else:
        click.echo(f"{shown_url(db)} now has schema {after} (before: {before or 'none'})")


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
    size = back_up(db, file, _progress())
    seconds = time.monotonic() - started_s
    if json:
        emit_json({"file": str(file), "bytes": size, "seconds": round(seconds, 3)})
    else:
        click.echo(f"{file}: {size:,} bytes in {seconds:.1f} s, checked and whole")


def _progress() -> Callable[[int, int], None]:
    told_s = time.monotonic()

    def tell(pages: int, total: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= PROGRESS_EVERY_S:
            told_s = time.monotonic()
            note(f"{pages:,} of {total:,} pages copied")

    return tell


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
        click.echo(f"{len(tables)} tables distributed" + "".join(f"\n  {name}" for name in tables))
