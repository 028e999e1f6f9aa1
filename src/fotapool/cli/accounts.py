"""`fotapool admin account`: what accounts there are, what each is, and how large its pool."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from fotapool.cli._options import (
    actor,
    clock,
    db_option,
    emit,
    emit_json,
    emit_table,
    find_account,
    note,
    opened_store,
    option,
    output_options,
)
from fotapool.model import (
    DeviceList,
    Outcome,
    Policy,
    PurchaseType,
    Verb,
)

if TYPE_CHECKING:
    from fotapool.model import Account, AccountKey, Change
    from fotapool.store import GroupedStore

ALTERED_SHOWN = {
    Outcome.TAKEN_CANDIDATE: "loses its license: on the candidate list",
    Outcome.TAKEN_OLDEST: "loses its license: the oldest",
    Outcome.PENDING_CANDIDATE: "loses its license when its upgrade ends: on the candidate list",
    Outcome.PENDING_OLDEST: "loses its license when its upgrade ends: the oldest",
    Outcome.RELEASED: "keeps its license after all",
}
"""What a resize does to a device, for people."""


@click.group()
def account() -> None:
    """Accounts and their pools."""


@account.command("create")
@click.argument("name")
@option("--licenses", type=int, required=True, help="How many licenses the account has bought.")
@option(
    "--purchase-type",
    type=click.Choice([kind.value for kind in PurchaseType]),
    default=PurchaseType.MRC.value,
    help="MRC: a monthly number. EVNT: billed per upgrade, no licenses.",
)
@db_option()
@output_options
def create_account(name: str, licenses: int, purchase_type: str, db: str, json: bool) -> None:
    """Create account NAME with a pool of licenses."""
    from fotapool.ledger import Ledger

    with opened_store(db) as store:
        made = Ledger(store, clock).create_account(
            name,
            purchase_type=PurchaseType(purchase_type),
            licenses=licenses,
            actor=actor(),
            request_id=os.urandom(16),
        )
    if json:
        emit_json(
            {"account": name, "purchase_type": purchase_type, "total": made.totals.total, "used": 0}
        )
    else:
        emit(f"account {name} has {made.totals.total:,} licenses ({purchase_type})")


@account.command("list")
@db_option()
@output_options
def list_accounts(db: str, json: bool) -> None:
    """List accounts with their pools."""
    with opened_store(db) as store:
        accounts = [
            _describe_account(key, row)
            for key, row in store.read(
                lambda snapshot: [(key, snapshot.account(key.id)) for key in snapshot.accounts()]
            )
        ]
    if json:
        emit_json({"accounts": accounts})
    else:
        columns = ("ACCOUNT", "TYPE", "POLICY", "TOTAL", "USED", "FREE", "OVERHANG", "ACTIVE")
        emit_table(columns, [tuple(row.values()) for row in accounts])


def _describe_account(key: AccountKey, row: Account) -> dict[str, object]:
    return {
        "account": key.name,
        "purchase_type": row.purchase_type.value,
        "policy": row.policy.value,
        "total": row.totals.total,
        "used": row.totals.used,
        "free": row.totals.free,
        "overhang": row.totals.overhang,
        "active": row.active,
    }


# A number below zero is a wrong number, and no option that nobody knows.
@account.command("resize", context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("licenses", type=int)
@option("--preview", is_flag=True, help="Tell who would lose a license, and change nothing.")
@db_option()
@output_options
def resize_account(account: str, licenses: int, *, preview: bool, db: str, json: bool) -> None:
    """Set how many LICENSES account ACCOUNT has.

    With fewer than are used some devices lose theirs: those on the candidate list first, then
    those that have had one longest. Names each device that does, and why.
    """
    from fotapool.ledger.resize import LICENSES_MAX

    if not 0 <= licenses <= LICENSES_MAX:
        raise click.UsageError(f"{licenses}: use a number of licenses from 0 to {LICENSES_MAX}")
    with opened_store(db) as store:
        made = _carry_out(store, account, Verb.RESIZE, preview=preview, total=licenses)
    if json:
        emit_json(_describe_resize(made, preview=preview))
        return
    for item, number in zip(made.devices.items, made.outcomes, strict=True):
        emit(f"{item}  {Outcome(number).word:<17}  {ALTERED_SHOWN[Outcome(number)]}")
    totals = made.totals
    state = "would have" if preview else "has"
    waiting = f", {totals.overhang:,} of them wait for upgrades to end" if totals.overhang else ""
    note(f"account {account} {state} {totals.total:,} licenses, {totals.used:,} used{waiting}")
    if preview:
        note("nothing was changed; without --preview it is done")


def _describe_resize(made: Change, *, preview: bool) -> dict[str, Any]:
    outcomes = {Outcome(number).word: made.outcomes.count(number) for number in set(made.outcomes)}
    return {
        "account": made.account.name,
        "preview": preview,
        "change": None if preview else made.sequence,
        "total": made.totals.total,
        "used": made.totals.used,
        "free": made.totals.free,
        "overhang": made.totals.overhang,
        "outcomes": outcomes,
        "items": [
            {"imei": item, "outcome": Outcome(number).word}
            for item, number in zip(made.devices.items, made.outcomes, strict=True)
        ],
    }


@account.command("policy")
@click.argument("account")
@click.argument("policy", type=click.Choice([policy.value for policy in Policy]))
@db_option()
@output_options
def set_policy(account: str, policy: str, db: str, json: bool) -> None:
    """Say which devices ACCOUNT takes: registered ones, or (open) any it grants a license."""
    _change_account(account, Verb.POLICY, db, json=json, policy=Policy(policy))


@account.command("type")
@click.argument("account")
@click.argument("purchase-type", type=click.Choice([kind.value for kind in PurchaseType]))
@db_option()
@output_options
def set_type(account: str, purchase_type: str, db: str, json: bool) -> None:
    """Say how ACCOUNT pays: MRC, EVNT (only with a pool of 0), or both."""
    _change_account(account, Verb.TYPE, db, json=json, purchase_type=PurchaseType(purchase_type))


@account.command("deactivate")
@click.argument("account")
@db_option()
@output_options
def deactivate_account(account: str, db: str, json: bool) -> None:
    """Let ACCOUNT take no more writes; reads go on."""
    _change_account(account, Verb.DEACTIVATE, db, json=json)


@account.command("activate")
@click.argument("account")
@db_option()
@output_options
def activate_account(account: str, db: str, json: bool) -> None:
    """Let ACCOUNT take writes again."""
    _change_account(account, Verb.ACTIVATE, db, json=json)


def _change_account(account: str, verb: Verb, db: str, *, json: bool, **more: Any) -> None:
    with opened_store(db) as store:
        made = _carry_out(store, account, verb, preview=False, **more)
        key = made.account
        row = store.read(lambda snapshot: snapshot.account(key.id))
    told = _describe_account(key, row)
    if json:
        emit_json(told | {"change": made.sequence})
    else:
        state = "active" if row.active else "inactive"
        emit(
            f"account {account}: {state}, policy {row.policy.value}, type {row.purchase_type.value}"
        )


def _carry_out(
    store: GroupedStore, account: str, verb: Verb, *, preview: bool, **more: Any
) -> Change:
    from fotapool.ledger import Ledger
    from fotapool.model import Command

    ledger = Ledger(store, clock)
    key = find_account(store, account)
    command = Command(key, verb, DeviceList.of([]), actor(), os.urandom(16), **more)
    return ledger.rehearse(command) if preview else ledger.submit(command).result()
