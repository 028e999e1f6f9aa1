"""`fotapool admin device`: which devices belong to which accounts."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from fotapool.cli._options import (
    DONE,
    SOME_REFUSED,
    actor,
    clock,
    db_option,
    emit,
    emit_json,
    emit_table,
    find_account,
    note,
    now_and_then,
    opened_store,
    output_options,
)
from fotapool.model import (
    Cursor,
    DeviceList,
    Outcome,
    Verb,
    imei_text,
)

if TYPE_CHECKING:
    from fotapool.bulk import BadRow
    from fotapool.model import AccountKey, Change, RegisteredDevice
    from fotapool.store import GroupedStore

IMPORT_DEVICES_MAX = 10_000
"""Devices in one change of an import (docs/reference/protocol.md R9)."""
UNKNOWN_SHOWN_MAX = 50


@click.group()
def device() -> None:
    """Devices that belong to accounts."""


@device.command("import")
@click.argument("account")
@click.argument("file")
@db_option()
@output_options
def import_devices(account: str, file: str, db: str, json: bool) -> int:
    """Register the devices in FILE as ACCOUNT's own; - reads standard input.

    FILE has one IMEI a line, or is a CSV with a column named imei. Rows that are no IMEI are
    refused with their line; the others are imported all the same.
    """
    with opened_store(db) as store:
        key = find_account(store, account)
        # Read whole before the first write: a file that breaks in the middle imports nothing.
        imeis, refused = _read_devices(file)
        changes = list(_carry_out(store, key, Verb.REGISTER, imeis))
    registered = sum(change.count(Outcome.REGISTERED) for change in changes)
    already = len(imeis) - registered
    if json:
        rows = _describe_rows(refused)
        emit_json(
            {
                "account": account,
                "registered": registered,
                "already_registered": already,
                "refused": rows,
            }
        )
    else:
        emit(
            f"account {account}: {registered:,} devices registered, {already:,} already there, "
            f"{len(refused):,} rows refused"
        )
    return SOME_REFUSED if refused else DONE


def _read_devices(file: str) -> tuple[array[int], list[BadRow]]:
    from fotapool.bulk import BadRow, read_fleet

    imeis: array[int] = array("q")
    refused: list[BadRow] = []
    for row in read_fleet(file):
        if isinstance(row, BadRow):
            refused.append(row)
            note(f"{file}, line {row.line}: {row.text!r}: {row.problem.value}")
        else:
            imeis.append(row.imei)
    return imeis, refused


@device.command("remove")
@click.argument("account")
@click.argument("file")
@db_option()
@output_options
def remove_devices(account: str, file: str, db: str, json: bool) -> int:
    """Let the devices in FILE leave ACCOUNT; - reads standard input.

    Their licenses are freed and their upgrades end. What is known of them stays in the history,
    and an import brings them back.
    """
    with opened_store(db) as store:
        key = find_account(store, account)
        imeis, refused = _read_devices(file)
        changes = list(_carry_out(store, key, Verb.UNREGISTER, imeis))
    freed = sum(change.count(Outcome.LEFT_AND_FREED) for change in changes)
    left = freed + sum(change.count(Outcome.LEFT) for change in changes)
    unknown = list(_with_verdict(changes, Outcome.UNKNOWN_DEVICE))
    if json:
        emit_json(
            {
                "account": account,
                "left": left,
                "freed": freed,
                "unknown": unknown,
                "refused": _describe_rows(refused),
            }
        )
    else:
        for item in unknown[:UNKNOWN_SHOWN_MAX]:
            note(f"{item} is no device of account {account}")
        if len(unknown) > UNKNOWN_SHOWN_MAX:
            note(f"the first {UNKNOWN_SHOWN_MAX} of {len(unknown):,}; --json lists all")
        emit(
            f"account {account}: {left:,} devices left, {freed:,} licenses freed, "
            f"{len(unknown):,} devices unknown, {len(refused):,} rows refused"
        )
    return SOME_REFUSED if refused or unknown else DONE


def _with_verdict(changes: Iterable[Change], outcome: Outcome) -> Iterator[str]:
    for change in changes:
        for item, number in zip(change.devices.items, change.outcomes, strict=True):
            if number == outcome:
                yield item


@device.command("list")
@click.argument("account")
@db_option()
@output_options
def list_devices(account: str, db: str, json: bool) -> None:
    """List the devices of ACCOUNT, with their upgrades and licenses."""
    with opened_store(db) as store:
        found = [_describe_device(device) for device in _devices(store, account)]
    if json:
        emit_json({"account": account, "devices": found})
    else:
        columns = ("IMEI", "UPGRADE", "LICENSED SINCE", "LAST UPGRADED")
        emit_table(columns, [tuple(cell or "-" for cell in row.values()) for row in found])


def _devices(store: GroupedStore, account: str) -> Iterator[RegisteredDevice]:
    from fotapool.ledger.registry import Registry

    registry, key = Registry(store), find_account(store, account)
    cursor, more = Cursor(), True
    while more:
        page = registry.devices(key, cursor)
        yield from page.devices
        more = page.more
        cursor = Cursor(imei=page.devices[-1].imei) if more else cursor


def _describe_device(device: RegisteredDevice) -> dict[str, str | None]:
    return {
        "imei": imei_text(device.imei),
        "upgrade": ("none", "scheduled", "running")[device.upgrade],
        "assigned_at": _time(device.assigned_at_ms),
        "upgraded_at": _time(device.upgraded_at_ms),
    }


def _time(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _describe_rows(refused: Sequence[BadRow]) -> list[dict[str, object]]:
    return [{"line": row.line, "text": row.text, "code": row.problem.code} for row in refused]


def _carry_out(
    store: GroupedStore, key: AccountKey, verb: Verb, imeis: array[int]
) -> Iterator[Change]:
    """One verb on many devices, in changes of bounded size."""
    from fotapool.ledger import Ledger
    from fotapool.model import Command

    ledger = Ledger(store, clock)
    progress = now_and_then(lambda done: f"{done:,} of {len(imeis):,} devices")
    for start in range(0, len(imeis), IMPORT_DEVICES_MAX):
        batch = DeviceList.of(imeis[start : start + IMPORT_DEVICES_MAX])
        command = Command(key, verb, batch, actor(), os.urandom(16))
        try:
            made = ledger.submit(command).result()
        except KeyboardInterrupt:
            note(f"stopped after {start:,} of {len(imeis):,} devices; the same command goes on")
            raise
        progress(start + len(batch))
        yield made
