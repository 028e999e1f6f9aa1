"""Every operation of a server is asked for by some verb, but for those that the reference names as
another spelling of one that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fotapool import Client, LicenseIMEI, LicensesAssignedRemovedRequest
from fotapool.api.routes import ROUTES, RouteTable
from fotapool.client.calls import Call
from fotapool.testing import Account, Emulator, Entry, Scenario
from test_docs import CONTROLLERS, public_methods, table
from world import ACCOUNT

ROWS = table("docs/reference/verbs.md", "Verb | Sends")
SERVED = RouteTable(ROUTES)

A, B, C, STRANGE = (f"{990003425730500 + at}" for at in (0, 1, 2, 999))
POOL = Scenario(accounts=(Account(licenses=10, devices=(A, B, C), licensed=(A, B)),))
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FIRMWARE: dict[str, Any] = {
    "firmware_name": "new",
    "firmware_to": "2",
    "starts_on": date(2026, 2, 1),
    "ends_on": date(2026, 2, 2),
}
V2, V3 = LicenseIMEI(device_list=[C]), LicensesAssignedRemovedRequest(device_list=[C])

# In this order; what lists is gone through.
CALLS: dict[str, Callable[[Any], object]] = {
    "licenses.get_user_fota_licenses_summary":     lambda c: c.get_user_fota_licenses_summary(ACCOUNT),
    "licenses.assign_fota_licenses_to_devices":    lambda c: c.assign_fota_licenses_to_devices(ACCOUNT, V2),
    "licenses.remove_licenses_from_devices":       lambda c: c.remove_licenses_from_devices(ACCOUNT, V2),
    "licenses.summarize_fota_licenses_assignment": lambda c: c.summarize_fota_licenses_assignment(ACCOUNT),
    "licenses.assign_fota_licenses_to_devices_1":  lambda c: c.assign_fota_licenses_to_devices_1(ACCOUNT, V3),
    "licenses.remove_licenses_from_devices_1":     lambda c: c.remove_licenses_from_devices_1(ACCOUNT, V3),
    "licenses.assign":             lambda c: c.assign(ACCOUNT, [C]),
    "licenses.remove":             lambda c: c.remove(ACCOUNT, [C]),
    "licenses.status":             lambda c: c.status(ACCOUNT),
    "licenses.devices":            lambda c: list(c.devices(ACCOUNT)),
    "licenses.subscription":       lambda c: c.subscription(ACCOUNT),
    "licenses.account_devices":    lambda c: list(c.account_devices(ACCOUNT)),
    "licenses.named_devices":      lambda c: c.named_devices(ACCOUNT, [A]),
    "licenses.replace_candidates": lambda c: c.replace_candidates(ACCOUNT, [A]),
    "licenses.append_candidates":  lambda c: c.append_candidates(ACCOUNT, [B]),
    "licenses.candidates":         lambda c: list(c.candidates(ACCOUNT)),
    "licenses.clear_candidates":   lambda c: c.clear_candidates(ACCOUNT),
    "pool.account":                lambda c: c.account(ACCOUNT),
    "pool.status":                 lambda c: c.status(ACCOUNT),
    "pool.devices":                lambda c: list(c.devices(ACCOUNT)),
    "pool.dry_run_assign":         lambda c: c.dry_run_assign(ACCOUNT, [C]),
    "pool.assign":                 lambda c: c.assign(ACCOUNT, [C]),
    "pool.dry_run_remove":         lambda c: c.dry_run_remove(ACCOUNT, [C]),
    "pool.remove":                 lambda c: c.remove(ACCOUNT, [C]),
    "pool.dry_run_resize":         lambda c: c.dry_run_resize(ACCOUNT, 9),
    "pool.resize":                 lambda c: c.resize(ACCOUNT, 9),
    "pool.dry_run_undo":           lambda c: c.dry_run_undo(ACCOUNT, c.status(ACCOUNT).sequence),
    "pool.undo":                   lambda c: c.undo(ACCOUNT, c.status(ACCOUNT).sequence),
    "pool.replace_candidates":     lambda c: c.replace_candidates(ACCOUNT, [A]),
    "pool.append_candidates":      lambda c: c.append_candidates(ACCOUNT, [B]),
    "pool.candidates":             lambda c: list(c.candidates(ACCOUNT)),
    "pool.clear_candidates":       lambda c: c.clear_candidates(ACCOUNT),
    "pool.changes":                lambda c: list(c.changes(ACCOUNT)),
    "pool.change":                 lambda c: c.change(ACCOUNT, 1),
    "pool.device_history":         lambda c: list(c.device_history(ACCOUNT, A)),
    "pool.as_of":                  lambda c: c.as_of(ACCOUNT, sequence=1),
    "pool.devices_as_of":          lambda c: list(c.devices_as_of(ACCOUNT, sequence=1)),
    "pool.refusals":               lambda c: c.refusals(ACCOUNT, since=LONG_AGO),
    "pool.clock":                  lambda c: c.clock(ACCOUNT),
    "devices.register":            lambda c: c.register(ACCOUNT, [STRANGE]),
    "devices.unregister":          lambda c: c.unregister(ACCOUNT, [STRANGE]),
    "devices.list":                lambda c: list(c.list(ACCOUNT)),
    "upgrades.schedule":           lambda c: c.schedule(ACCOUNT, [A]),
    "upgrades.cancel":             lambda c: c.cancel(ACCOUNT, [A]),
    "upgrades.start":              lambda c: c.start(ACCOUNT, [A]),
    "upgrades.finish":             lambda c: c.finish(ACCOUNT, [A]),
    "upgrades.fail":               lambda c: c.fail(ACCOUNT, [A]),
    "upgrades.plan":               lambda c: c.plan(ACCOUNT, [A], **FIRMWARE),
    "upgrades.planned":            lambda c: c.planned(ACCOUNT, made(c)),
    "upgrades.add_to_plan":        lambda c: c.add_to_plan(ACCOUNT, made(c), [B]),
    "upgrades.remove_from_plan":   lambda c: c.remove_from_plan(ACCOUNT, made(c), [B]),
    "upgrades.cancel_plan":        lambda c: c.cancel_plan(ACCOUNT, made(c)),
}  # fmt: skip


def made(upgrades: Any) -> str:
    """The upgrade that a verb is about: each call of the same key gives the same one."""
    upgrade_id: str = upgrades.plan(ACCOUNT, [A], **FIRMWARE, idempotency_key="one").upgrade_id
    return upgrade_id


def spelled(cell: str) -> set[str]:
    """The operations that a cell of the table names, in full."""
    return {each.replace("…", "/api/fota") for each in re.findall(r"[A-Z]+ …[^`,]+", cell)}


def routes_of(entries: Iterable[Entry]) -> set[str]:
    """The rows of the server's table that were asked for."""
    found = [SERVED.find(entry.method, entry.path) for entry in entries]
    assert None not in found
    return {f"{row.route.method} {row.route.path}" for row in found if row}


@pytest.mark.usefixtures("colour")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.fota(scenario=POOL)
def test_every_operation_has_a_verb(fota: Emulator) -> None:
    client = fota.new_client()
    for verb, call in CALLS.items():
        call(getattr(client, verb.partition(".")[0]))
    client.log_out()
    assert {entry.status for entry in fota.requests} == {200}

    asked = routes_of(fota.requests)
    again = set().union(*(spelled(row[2]) for row in ROWS))
    assert asked & again == set()
    assert asked | again == {f"{route.method} {route.path}" for route in ROUTES}


def test_every_verb_was_called() -> None:
    assert set(CALLS) == {
        f"{name}.{verb}"
        for name, controller in CONTROLLERS.items()
        for verb in public_methods(controller)
    }


@pytest.mark.fota(scenario=POOL)
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_verb_sends_what_the_table_says_and_the_others_are_the_same(
    fota: Emulator, row: list[str]
) -> None:
    verbs, sends, again = row
    client = fota.new_client()
    fota.requests.clear()
    for verb in re.findall(r"[a-z_]+\.[a-z_]+", verbs):
        CALLS[verb](client.licenses)
    assert routes_of(e for e in fota.requests if e.account) == spelled(sends)

    (operation,) = {entry.operation for entry in fota.requests if entry.account}
    for other in spelled(again):
        method, _, path = other.partition(" ")
        named = path.format(account=ACCOUNT, cursor="0", index="0")
        assert operation_at(fota, client, method, named) == operation


def operation_at(fota: Emulator, client: Client, method: str, path: str) -> str:
    """What the emulator calls the operation at a path."""
    body = b'{"deviceList": ["990003425730500"]}' if method == "POST" else None
    client.perform(Call(method, path, lambda response: response.status_code, body, writes=False))
    return fota.requests.last.operation
