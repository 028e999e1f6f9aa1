"""Every operation of a server is asked for by some verb, but for those that the reference names as
another spelling of one that is."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from fotapool import Client
from fotapool.api.routes import ROUTES, RouteTable
from fotapool.client.calls import Call
from fotapool.testing import Emulator, Entry
from test_client_answers import RESULTS, SEEDED, A
from test_docs import table
from world import ACCOUNT

ROWS = table("docs/reference/verbs.md", "Verb | Sends")
SERVED = RouteTable(ROUTES)


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
@pytest.mark.fota(scenario=SEEDED)
def test_every_operation_has_a_verb(fota: Emulator) -> None:
    client = fota.new_client()
    for ask in RESULTS.values():
        ask(client)
    client.log_out()
    assert {entry.status for entry in fota.requests} == {200}

    asked = routes_of(fota.requests)
    again = set().union(*(spelled(row[2]) for row in ROWS))
    assert asked & again == set()
    assert asked | again == {f"{route.method} {route.path}" for route in ROUTES}


@pytest.mark.fota(scenario=SEEDED)
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_verb_sends_what_the_table_says_and_the_others_are_the_same(
    fota: Emulator, row: list[str]
) -> None:
    verbs, sends, again = row
    client = fota.new_client()
    fota.requests.clear()
    for verb in re.findall(r"[a-z_]+\.[a-z_]+", verbs):
        RESULTS[verb](client)
    assert routes_of(e for e in fota.requests if e.account) == spelled(sends)

    (operation,) = {entry.operation for entry in fota.requests if entry.account}
    for other in spelled(again):
        method, _, path = other.partition(" ")
        named = path.format(account=ACCOUNT, cursor="0", index="0")
        assert operation_at(fota, client, method, named) == operation


def operation_at(fota: Emulator, client: Client, method: str, path: str) -> str:
    """What the emulator calls the operation at a path."""
    body = f'{{"deviceList": ["{A}"]}}'.encode() if method == "POST" else None
    client.perform(Call(method, path, lambda response: response.status_code, body, writes=False))
    return fota.requests.last.operation
