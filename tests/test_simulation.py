"""A random life of a pool, over HTTP on a real file, held against a model after every step."""

from __future__ import annotations

import http.client
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fotapool.ledger.verify import verify
from fotapool.model import Outcome, Policy, PurchaseType, Role, Verb
from model import DAY_MS, GAINED, LOST, PENDED, Key, Pool, Refusal, Verdict, is_imei
from world import Clock, Login, World, open_file

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
EXAMPLES, STEPS = (400, 120) if SOAK else (40, 30)

DEVICES = [f"{imei:015d}" for imei in (0, 1, 42, *range(990003425730000, 990003425730009))]
ITEMS = st.lists(st.sampled_from([*DEVICES, "x", "9900034257305", "ä,b"]), min_size=1, max_size=7)
GOOD = st.lists(st.sampled_from(DEVICES), min_size=1, max_size=7)
KEYS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d"]))

LICENSES = st.sampled_from(["assign", "assign", "remove"])
DOORS = st.sampled_from(["v1", "v2", "v3", "own"])
REGISTRY = st.sampled_from(["register", "register", "unregister"])
STEPS_OF_UPGRADES = st.sampled_from(["schedule", "start", "finish", "fail", "cancel"])
LISTINGS = st.sampled_from(["replace", "append", "clear"])
SETTINGS = st.sampled_from(["open", "registered", "MRC", "both", "EVNT"])

GOOD_WORDS = {"assigned", "already_licensed", "removed"}
PATHS = {
    "assign": "assign",
    "remove": "remove",
    "register": "devices/register",
    "unregister": "devices/unregister",
    **{verb: f"upgrades/{verb}" for verb in ("schedule", "start", "finish", "fail", "cancel")},
    **{verb: f"candidates/{verb}" for verb in ("replace", "append", "clear")},
    "resize": "resize",
    "undo": "undo",
}
"""Our own operation of each verb of the model."""


@contextmanager
def served() -> Iterator[tuple[World, http.client.HTTPConnection]]:
    """One server for all examples; each has an account of its own."""
    clock = Clock()
    with TemporaryDirectory() as folder:
        world = World(open_file(Path(folder) / "pool.db", clock), clock)
        with world.serving() as url:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
            yield world, connection
            connection.close()
        world.store.close()


class Life(RuleBasedStateMachine):
    """Rules are what people do; invariants are what must be true whatever they did."""

    world: World
    connection: http.client.HTTPConnection
    number = 0

    def __init__(self) -> None:
        super().__init__()
        Life.number += 1
        self.name = f"life-{Life.number}"
        self.chance = random.Random(0)
        self.account = self.world.add_account(self.name, licenses=5)
        self.pool = Pool(5, self.world.clock())
        self.login: Login = self.world.add_login(self.name, role=Role.ADMIN)

    @initialize(seed=st.integers(0, 2**32), known=st.sets(st.sampled_from(DEVICES), min_size=6))
    def begin(self, seed: int, known: set[str]) -> None:
        """By drawn numbers alone, so that a life that fails can be lived again."""
        self.chance = random.Random(seed)
        self.carry_out("own", "register", sorted(known))

    # --- how it is asked ----------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        raw = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, raw, self.login.headers | named)
        answer = self.connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, answer.read()

    def read(self, below: str) -> Any:
        status, headers, body = self.ask("GET", f"/api/fotapool/v1/accounts/{self.name}{below}")
        assert status == 200, body
        assert int(headers["fotapool-sequence"]) == self.pool.last.sequence
        return json.loads(body)

    def own(
        self, verb: str, items: list[str], number: int = 0, *, dry: bool = False, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        below = ("dry-run/" if dry else "") + PATHS[verb]
        body = {"resize": {"total": number}, "undo": {"change": number}, "clear": {}}
        path = f"/api/fotapool/v1/accounts/{self.name}/{below}"
        return self.ask("POST", path, body.get(verb, {"imeis": items}), **headers)

    def documented(
        self, door: str, verb: str, items: list[str], **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        base = f"/api/fota/{door}/licenses/{self.name}"
        if verb == "clear":
            return self.ask("DELETE", base + "/cancel", **headers)
        if verb in ("replace", "append"):
            more = {"type": "append"} if verb == "append" else {}
            return self.ask("POST", base + "/cancel", {"deviceList": items, **more}, **headers)
        return self.ask("POST", f"{base}/{verb}", {"deviceList": items}, **headers)

    def carry_out(
        self, door: str, verb: str, items: list[str], number: int = 0, key: str | None = None
    ) -> None:
        """A write through one of the doors, and what the model makes of it."""
        self.pool.now_ms = self.world.clock()
        request = (door, verb, json.dumps([items, number]))
        known = self.pool.known_key(key) if key else None
        headers = {"idempotency_key": key} if key else {}
        if door == "own":
            status, told, body = self.own(verb, items, number, dry=False, **headers)
        else:
            status, told, body = self.documented(door, verb, items, **headers)

        if known is not None and known.request != request:
            assert (status, json.loads(body)["errorCode"]) == (422, "IDEMPOTENCY_KEY_REUSED")
            return
        if known is not None:
            assert (body, told["idempotency-replayed"]) == (known.answer, "true")
            return
        expected = attempted(lambda: self.pool.carry_out(verb, items, number))
        if isinstance(expected, str):
            error = json.loads(body)
            assert status >= 400
            own_text = "is not a device of the account" in error["errorMessage"]
            assert expected in error.values() or own_text
            return
        assert status == 200, body
        assert "idempotency-replayed" not in told
        assert int(told["fotapool-change"]) == self.pool.last.sequence
        self.compare_answer(door, verb, json.loads(body), expected)
        if key:
            self.pool.keep_key(key, Key(request, body, self.pool.last.at_ms // DAY_MS))

    def compare_answer(self, door: str, verb: str, told: Any, expected: list[Verdict]) -> None:
        if door == "own":
            assert verdicts_of(told) == expected
            counts = (self.pool.total, self.pool.used, self.pool.overhang)
            assert (told["total"], told["used"], told["overhang"]) == counts
            if verb in ("replace", "append", "clear"):
                assert told["candidates"] == len(self.pool.candidates)
        elif verb == "clear":
            assert told == {"success": True}
        elif verb in ("replace", "append"):
            listed = {"count": len(self.pool.candidates), "deviceList": self.pool.candidates}
            assert told == listed
        else:
            assert [
                (item["deviceId"], item["status"].endswith("Success"))
                for item in told["deviceList"]
            ] == [(item, outcome in GOOD_WORDS) for item, outcome, _ in expected]
            assert told["licUsedCount"] == self.pool.used

    # --- what people do -----------------------------------------------------------------------

    @rule(door=DOORS, verb=LICENSES, items=ITEMS, key=KEYS)
    def change_licenses(self, door: str, verb: str, items: list[str], key: str | None) -> None:
        self.carry_out(door, verb, items, key=key)

    @rule(verb=REGISTRY, items=ITEMS, key=KEYS)
    def change_the_registry(self, verb: str, items: list[str], key: str | None) -> None:
        self.carry_out("own", verb, items, key=key)

    @rule(verb=STEPS_OF_UPGRADES, items=ITEMS, key=KEYS)
    def step_upgrades(self, verb: str, items: list[str], key: str | None) -> None:
        self.carry_out("own", verb, items, key=key)

    @precondition(lambda self: self.pool.licensed)
    @rule(count=st.integers(1, 4), fail=st.booleans())
    def upgrade_licensed_devices(self, count: int, fail: bool) -> None:
        """Steps that fit: the ones above mostly do not."""
        for verb, state in (("schedule", None), ("start", "scheduled"), ("finish", "running")):
            fits = [d for d in sorted(self.pool.licensed) if self.pool.upgrades.get(d) == state]
            if fits and self.chance.random() < 0.6:
                items = self.chance.sample(fits, min(count, len(fits)))
                self.carry_out("own", "fail" if fail and verb == "finish" else verb, items)

    @precondition(lambda self: len(self.pool.licensed) > 1)
    @rule(running=st.integers(1, 4), down=st.integers(1, 3), up=st.integers(0, 2))
    def shrink_while_upgrades_run(self, running: int, down: int, up: int) -> None:
        """Who waits to be taken, and who is released first, shows only among several."""
        free = [d for d in sorted(self.pool.licensed) if d not in self.pool.upgrades]
        items = self.chance.sample(free, min(running, len(free)))
        if items:
            self.carry_out("own", "schedule", items)
            self.carry_out("own", "start", items)
        self.resize(max(0, self.pool.used - down), None)
        self.resize(min(9, self.pool.total + up), None)

    @rule(door=st.sampled_from(["v1", "v2", "own"]), verb=LISTINGS, items=GOOD, key=KEYS)
    def edit_candidates(self, door: str, verb: str, items: list[str], key: str | None) -> None:
        self.carry_out(door, verb, [] if verb == "clear" else items, key=key)

    @rule(total=st.integers(0, 9), key=KEYS)
    def resize(self, total: int, key: str | None) -> None:
        self.preview("resize", [], total)
        self.carry_out("own", "resize", [], total, key)

    @rule(back=st.integers(0, 8), key=KEYS)
    def undo(self, back: int, key: str | None) -> None:
        number = max(1, self.pool.last.sequence - back)
        self.preview("undo", [], number)
        self.carry_out("own", "undo", [], number, key)

    @rule(setting=SETTINGS)
    def change_the_account(self, setting: str) -> None:
        self.pool.now_ms = self.world.clock()
        policies = {policy.value: policy for policy in Policy}
        if setting in policies:
            made = self.world.command(self.account, Verb.POLICY, policy=policies[setting])
        else:
            kind = PurchaseType(setting)
            made = self.world.command(self.account, Verb.TYPE, purchase_type=kind)
        expected = attempted(lambda: self.pool.carry_out(setting, []))
        if isinstance(expected, str):
            assert self.world.refusal_of_command(made).refusal.name == expected
        else:
            self.world.ledger.submit(made).result(10)

    @rule(verb=LICENSES, items=ITEMS, off=st.integers(-2, 2))
    def change_if(self, verb: str, items: list[str], off: int) -> None:
        self.pool.now_ms = self.world.clock()
        wanted = max(0, self.pool.last.sequence + off)
        status, _, body = self.own(verb, items, if_match=f'"{wanted}"')
        if off == 0:
            assert verdicts_of(json.loads(body)) == self.pool.carry_out(verb, items)
        else:
            assert status == 412

    @rule(verb=LICENSES, items=ITEMS)
    def rehearse(self, verb: str, items: list[str]) -> None:
        self.preview(verb, items)

    def preview(self, verb: str, items: list[str], number: int = 0) -> None:
        """A dry run tells what the model would do, and changes nothing."""
        self.pool.now_ms = self.world.clock()
        status, _, body = self.own(verb, items, number, dry=True)
        told = json.loads(body)
        expected = attempted(lambda: self.pool.rehearse(verb, items, number))
        if isinstance(expected, str):
            assert (status >= 400, told["errorCode"]) == (True, expected)
        else:
            assert (status, told["sequence"]) == (200, self.pool.last.sequence)
            assert verdicts_of(told) == expected

    @rule(
        ms=st.sampled_from([0, 1, 500, 60_000, DAY_MS // 2, -1, -60_000, -3 * DAY_MS, 2 * DAY_MS])
    )
    def move_the_clock(self, ms: int) -> None:
        self.world.clock.advance(ms=ms)
        self.pool.now_ms = self.world.clock()
        self.login = self.world.log_in(self.login.secrets)  # tokens die by the same clock

    @precondition(lambda self: self.pool.keys)
    @rule()
    def ask_again(self) -> None:
        """A random earlier key, to the byte."""
        text = self.chance.choice(sorted(self.pool.keys))
        self.pool.now_ms = self.world.clock()
        door, verb, asked = self.pool.keys[text].request
        items, number = json.loads(asked)
        self.carry_out(door, verb, items, number, text)

    # --- what must be true --------------------------------------------------------------------

    @invariant()
    def stands_as_the_model_says(self) -> None:
        pool, told = self.pool, self.read("/status")
        assert told["sequence"] == pool.last.sequence
        counts = (pool.total, pool.used, pool.overhang)
        assert (told["total"], told["used"], told["overhang"]) == counts
        assert told["free"] == max(0, pool.total - pool.used)
        assert devices_of(told) == stood(pool.last.licensed)
        door = self.chance.choice(["v2", "v3"])
        _, _, body = self.ask("GET", f"/api/fota/{door}/licenses/{self.name}")
        assert [item["deviceId"] for item in json.loads(body)["deviceList"]] == sorted(
            self.pool.licensed
        )

    @invariant()
    def lives_as_the_model_says(self) -> None:
        """Subscription, candidates, devices with their upgrades, and who waits to be taken."""
        pool, account = self.pool, self.read("")
        assert (account["purchase_type"], account["policy"]) == (pool.purchase_type, pool.policy)
        assert account["candidates"] == len(pool.candidates)
        listed = self.read("/candidates")["items"]
        assert [item["imei"] for item in listed] == pool.candidates
        door = self.chance.choice(["v1", "v2", "v3"])
        _, _, body = self.ask("GET", f"/api/fota/{door}/subscriptions/{self.name}")
        told = json.loads(body)
        assert (told["licenseCount"], told["licenseUsedCount"]) == (pool.total, pool.used)
        devices = self.read("/devices")["items"]
        assert [(item["imei"], item["upgrade"]) for item in devices] == [
            (device, pool.upgrades.get(device, "none")) for device in sorted(pool.registered)
        ]
        waiting = self.world.store.read(
            lambda snapshot: snapshot.pending(self.account.id, pool.overhang + 9, ())
        )
        assert [f"{imei:015d}" for imei in waiting] == pool.pending[::-1]

    @invariant()
    def stood_as_the_model_says(self) -> None:
        made = self.chance.choice(self.pool.changes)
        told = self.read(f"/as-of?sequence={made.sequence}")
        assert (told["total"], told["used"]) == (made.total, made.used)
        assert told["at"] == rfc3339(made.at_ms)
        assert devices_of(told) == stood(made.licensed)

        first, now = self.pool.changes[0].at_ms, self.pool.time_ms
        moment = self.chance.choice([first, now, self.chance.randint(first, now), made.at_ms])
        at = self.pool.at(moment)
        assert at is not None
        told = self.read(f"/as-of?at={rfc3339(moment)}")
        assert told["sequence"] == at.sequence
        assert devices_of(told) == stood(at.licensed)

    @invariant()
    def is_remembered_as_the_model_says(self) -> None:
        device = self.chance.choice(DEVICES)
        if device in self.pool.registered:
            told = self.read(f"/devices/{device}/history")
            assert [
                (held["since"]["change"], held.get("until", {}).get("change"))
                for held in told["items"]
            ] == self.pool.history(device)
        made = self.chance.choice(self.pool.changes)
        told = self.read(f"/changes/{made.sequence}")
        assert (told["verb"], told["at"]) == (made.verb, rfc3339(made.at_ms))
        assert [(item["imei"], item["outcome"]) for item in told["items"]] == list(
            zip(made.items, made.outcomes, strict=True)
        )
        newest = self.read("/changes")["items"]
        assert [entry["change"] for entry in newest] == [
            change.sequence for change in self.pool.changes[::-1]
        ][:100]
        refused = Counter(
            (made.verb, outcome)
            for made in self.pool.changes
            for outcome in made.outcomes
            if outcome in REFUSED
        )
        assert {
            (item["verb"], item["outcome"]): item["count"]
            for item in self.read("/refusals")["items"]
        } == refused

    @invariant()
    def is_proven(self) -> None:
        report = self.world.store.read(lambda snapshot: verify(snapshot, self.account))
        assert report.findings == ()
        assert report.changes == self.pool.last.sequence


REFUSED = {outcome.word for outcome in Outcome if not outcome.ok}


def attempted(action: Callable[[], list[Verdict]]) -> list[Verdict] | str:
    """What the model makes of a request: its verdicts, or why it refuses the whole."""
    try:
        return action()
    except Refusal as refusal:
        return str(refusal)


def verdicts_of(told: Any) -> list[Verdict]:
    return [(item["imei"], item["outcome"], item.get("by", 0)) for item in told["items"]]


def devices_of(told: Any) -> dict[str, str]:
    assert "next" not in told
    return {item["imei"]: item["assigned_at"] for item in told["items"]}


def stood(licensed: dict[str, int]) -> dict[str, str]:
    assert all(map(is_imei, licensed))
    return {device: rfc3339(at_ms) for device, at_ms in sorted(licensed.items())}


def rfc3339(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{at_ms % 1000:03d}Z"


# --- longer lives, without a search -------------------------------------------------------------


class Chance:
    """What people do, by weights under which much happens: a search prefers what is small."""

    def __init__(self, life: Life, seed: int) -> None:
        self.life = life
        self.random = random.Random(seed)

    def live(self, steps: int) -> None:
        self.life.begin(self.random.randrange(2**32), set(self.some(DEVICES, 9)))
        for _ in range(steps):
            self.step()
            for name in INVARIANTS:
                getattr(self.life, name)()

    def step(self) -> None:
        weights = {
            self.licenses: 10,
            self.upgrades: 2,
            self.undo: 6,
            self.candidates: 3,
            self.sizes: 3,
            self.registry: 1,
            self.others: 2,
        }
        (action,) = self.random.choices(list(weights), list(weights.values()))
        action()

    def some(self, among: list[str], most: int) -> list[str]:
        return self.random.choices(among, k=self.random.randint(1, most))

    def mostly(self, among: Collection[str], most: int) -> list[str]:
        """Devices that the request fits, and sometimes any."""
        fits = sorted(among) if self.random.random() < 0.8 else []
        return self.some(fits or [*DEVICES, "x"], most)

    @property
    def key(self) -> str | None:
        return self.random.choice([None, None, "a", "b", "c"])

    def licenses(self) -> None:
        door = self.random.choice(["v1", "v2", "v3", "own"])
        pool = self.life.pool
        if self.random.random() < 0.65:
            fits = pool.registered - set(pool.licensed)
            self.life.change_licenses(door, "assign", self.mostly(fits, 6), self.key)
        else:
            self.life.change_licenses(door, "remove", self.mostly(pool.licensed, 3), self.key)

    def upgrades(self) -> None:
        if self.life.pool.licensed:
            self.life.upgrade_licensed_devices(
                self.random.randint(1, 3), self.random.random() < 0.3
            )
        if self.random.random() < 0.2:
            verb = self.random.choice(["schedule", "start", "finish", "fail", "cancel"])
            self.life.step_upgrades(verb, self.some([*DEVICES, "x"], 4), self.key)

    def undo(self) -> None:
        last = self.life.pool.last.sequence
        verbs = {"assign", "remove", "resize", "undo"}
        fits = [
            last - made.sequence
            for made in self.life.pool.changes[-9:]
            if made.verb in verbs and made.devices(GAINED | LOST | PENDED)
        ]
        self.life.undo(self.random.choice(fits or [0]), self.key)

    def candidates(self) -> None:
        door = self.random.choice(["v1", "v2", "own"])
        verb = self.random.choice(["replace", "append", "append", "clear"])
        known = sorted(self.life.pool.registered) or DEVICES
        among = known if self.random.random() < 0.9 else DEVICES
        self.life.edit_candidates(door, verb, self.some(among, 5), self.key)

    def sizes(self) -> None:
        if self.random.random() < 0.5 and len(self.life.pool.licensed) > 1:
            numbers = (self.random.randint(low, high) for low, high in ((1, 4), (1, 3), (0, 4)))
            self.life.shrink_while_upgrades_run(*numbers)
        else:
            self.life.resize(self.random.randint(4, 9), self.key)

    def registry(self) -> None:
        verb = self.random.choice(["register", "register", "unregister"])
        self.life.change_the_registry(verb, self.some([*DEVICES, "x"], 5), self.key)

    def others(self) -> None:
        life, items = self.life, self.some(DEVICES, 4)
        verb = self.random.choice(["assign", "remove"])
        others: list[Callable[[], None]] = [
            lambda: life.change_if(verb, items, self.random.randint(-1, 1)),
            lambda: life.rehearse(verb, items),
            lambda: life.move_the_clock(self.random.choice([0, 1000, DAY_MS, -1, -DAY_MS])),
            lambda: life.change_the_account(self.random.choice(["open", "registered", "both"])),
        ]
        if life.pool.keys:
            others.append(life.ask_again)
        self.random.choice(others)()


INVARIANTS = [
    "stands_as_the_model_says",
    "lives_as_the_model_says",
    "stood_as_the_model_says",
    "is_remembered_as_the_model_says",
    "is_proven",
]


@pytest.mark.heavy
@pytest.mark.timeout(7200 if SOAK else 600)
def test_long_lives_are_as_the_model_says() -> None:
    seeds = [random.randrange(10**9) for _ in range(200)] if SOAK else list(range(8))
    with served() as (world, connection):
        Life.world, Life.connection = world, connection
        for seed in seeds:
            print(f"seed {seed}")  # noqa: T201 -- shown when the test fails
            Chance(Life(), seed).live(150)


@pytest.mark.heavy
@pytest.mark.timeout(7200 if SOAK else 600)
def test_a_random_life_is_as_the_model_says() -> None:
    with served() as (world, connection):
        Life.world, Life.connection = world, connection
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=not SOAK,
                suppress_health_check=list(HealthCheck),
            ),
        )
