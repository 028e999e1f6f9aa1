"""Everything that goes wrong in the field at once, and both clients come through with what is true.

Each call has up to three faults of the emulator, drawn anew; a model tells what it has to come to.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from fotapool import Client, Outcome
from fotapool.testing import Account, Emulator, Scenario
from fotapool.testing.arming import Faults
from world import ACCOUNT

pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("colour")]

STRANGE, MALFORMED = "352906110000001", "12"
LICENSES = 1_900
SCENARIO = Scenario(accounts=(Account(devices=2_500, licenses=LICENSES),))

Arm = Callable[[Faults], object]

# The kinds of documented answers, one of each, for as long as it is armed …
NAMES: list[dict[str, Any]] = [
    {"fault": "spelling", "names": "older"},
    {"fault": "spelling", "names": "newer"},
    {"fault": "members_missing"},
]
TIMES: list[dict[str, Any]] = [
    {"fault": "time_style", "style": style} for style in ("go", "rfc3339", "seconds", "offset")
]
ORDERS: list[dict[str, Any]] = [{"fault": "page_shuffled", "order": order} for order in range(3)]
# … what may happen to any request, and more than once …
MISHAPS: list[Arm] = [
    lambda f: f.json_malformed(times=2),
    lambda f: f.answer_lost(times=2),
    lambda f: f.answer_lost(skip=1),
    lambda f: f.answer_delayed(60),
    lambda f: f.slow_drip(90),
    lambda f: f.connection_cut("before", times=2),
    lambda f: f.connection_cut("within"),
    lambda f: f.too_many_requests(7, times=6),
    lambda f: f.too_many_requests(7, form="date", times=2),
    lambda f: f.too_many_requests(form="none", times=4),
    lambda f: f.unavailable(3, form="milliseconds"),
    lambda f: f.unavailable(form="none", times=3),
    lambda f: f.html_page(502, times=3),
    lambda f: f.html_page(504),
    lambda f: f.html_page(200),
    lambda f: f.too_many_requests(5, operation="token"),
    lambda f: f.answer_delayed(60, operation="token"),
    lambda f: f.html_page(502, operation="login"),
    lambda f: f.answer_lost(operation="login"),
]
# … and what a call gets over once.
ONCE: list[Arm] = [
    lambda f: f.session_expired(operation="assign"),
    lambda f: f.session_expired(skip=1, operation="status"),
    lambda f: f.token_revoked(operation="remove"),
    lambda f: f.token_revoked(skip=1, operation="status"),
    lambda f: f.page_repeated(),
    lambda f: f.page_repeated(skip=1),
]


@dataclass(slots=True)
class Fleet:
    """Some devices, and which of them hold a license."""

    imeis: tuple[str, ...]
    chance: random.Random
    licensed: set[str] = field(default_factory=set)

    def some(self, *, licensed: bool) -> list[str]:
        """Devices in any order; few of them, or all that there are."""
        fit = [imei for imei in self.imeis if (imei in self.licensed) is licensed]
        return self.chance.sample(fit, self.chance.choice([min(3, len(fit)), len(fit) // 2]))

    def trouble(self, faults: Faults) -> None:
        """What goes wrong with the next requests, whosesoever they are."""
        for arm in self.chance.sample(MISHAPS, 3):
            arm(faults)


def of_kind(faults: Faults, chance: random.Random, *, keys: bool) -> None:
    """Of what kind the answers are from here on."""
    faults.clear()
    if not keys:
        faults.keys_ignored(times=None, operation="any")
    for kind in map(chance.choice, (NAMES, TIMES, ORDERS)):
        arm = getattr(faults, kind["fault"])
        arm(path="/api/fota/*", times=None, **{k: v for k, v in kind.items() if k != "fault"})


def write(client: Client, fleet: Fleet, *, alone: bool) -> None:
    """Assign or remove; every verdict is the one that the rules give."""
    assign = len(fleet.licensed) < len(fleet.imeis) // 4 or fleet.chance.random() < 0.5
    imeis = fleet.some(licensed=not assign)
    verb: Any = client.licenses.assign if assign else client.licenses.remove
    change = verb(ACCOUNT, [*imeis, MALFORMED, STRANGE])

    done, strange = (
        (Outcome.ASSIGNED, Outcome.UNKNOWN_DEVICE)
        if assign
        else (Outcome.REMOVED, Outcome.NOT_LICENSED)
    )
    told = [(verdict.imei, verdict.outcome) for verdict in change.verdicts]
    assert told[:-2] == [(imei, done) for imei in imeis]
    expected = [(MALFORMED, Outcome.MALFORMED), (STRANGE, strange)]
    # Where the service gives no reason, none is made up.
    for refused, wanted in zip(told[-2:], expected, strict=True):
        assert refused in (wanted, (wanted[0], Outcome.UNRECOGNIZED))
    (fleet.licensed.update if assign else fleet.licensed.difference_update)(imeis)
    if alone:
        assert (change.used, change.total) == (len(fleet.licensed), LICENSES)


def read(client: Client, fleet: Fleet, *, alone: bool) -> None:
    """Totals and lists, by the documented operations and by ours."""
    status, own = client.licenses.status(ACCOUNT), client.pool.status(ACCOUNT)
    listed = [device.imei for device in client.licenses.devices(ACCOUNT)]
    named = client.licenses.named_devices(ACCOUNT, fleet.imeis[:500])

    assert status.total in (None, LICENSES)
    assert own.total == LICENSES
    assert len(set(listed)) == len(listed)
    assert set(listed) & set(fleet.imeis) == fleet.licensed
    assert {device.imei: device.licensed for device in named} == {
        imei: imei in fleet.licensed for imei in fleet.imeis[:500]
    }
    if alone:
        assert status.used == own.used == len(fleet.licensed)


@pytest.mark.fota(scenario=SCENARIO)
@pytest.mark.parametrize("keys", [True, False], ids=["keys", "no keys"])
@pytest.mark.parametrize("seed", range(3))
def test_one_after_another(fota: Emulator, keys: bool, seed: int) -> None:
    fleet = Fleet(fota.devices[:1_800], random.Random(seed))
    client = fota.new_client(max_retries=40, retry_budget_s=1e6)
    for _ in range(25):
        of_kind(fota.faults, fleet.chance, keys=keys)
        fleet.trouble(fota.faults)
        fleet.chance.choice(ONCE)(fota.faults)
        (write if fleet.chance.random() < 0.6 else read)(client, fleet, alone=True)
    agree(fota, fleet.licensed)


@pytest.mark.fota(scenario=SCENARIO)
@pytest.mark.parametrize("keys", [True, False], ids=["keys", "no keys"])
def test_side_by_side(fota: Emulator, keys: bool) -> None:
    client = fota.new_client(max_retries=200, retry_budget_s=1e6)
    fleets = [Fleet(fota.devices[at : at + 400], random.Random(at)) for at in range(0, 1_600, 400)]

    of_kind(fota.faults, random.Random(7), keys=keys)

    def work(fleet: Fleet) -> None:
        for _ in range(12):
            fleet.trouble(fota.faults)
            (write if fleet.chance.random() < 0.7 else read)(client, fleet, alone=False)

    with ThreadPoolExecutor(len(fleets)) as threads:
        for done in [threads.submit(work, fleet) for fleet in fleets]:
            done.result()
    agree(fota, set().union(*(fleet.licensed for fleet in fleets)))


def agree(fota: Emulator, licensed: set[str]) -> None:
    """What the service holds, and its ledger, are what the verdicts came to."""
    fota.faults.clear()
    calm = fota.new_client()
    changes = calm.pool.changes(ACCOUNT).to_list()
    gained = sum(change.outcomes.get("assigned", 0) for change in changes)
    lost = sum(change.outcomes.get("removed", 0) for change in changes)

    assert {device.imei for device in calm.pool.devices(ACCOUNT)} == licensed
    assert calm.pool.status(ACCOUNT).used == len(licensed) == gained - lost
