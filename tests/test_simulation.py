"""A random life of a pool, over HTTP on a real file, held against a model after every step."""

from __future__ import annotations

import http.client
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
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
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fotapool.ledger.verify import verify
from fotapool.model import Verb
from model import DAY_MS, Key, Pool, is_imei
from world import Clock, Login, World, open_file

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
EXAMPLES, STEPS = (400, 120) if SOAK else (60, 40)

DEVICES = [f"{imei:015d}" for imei in (0, 1, 42, *range(990003425730000, 990003425730009))]
ITEMS = st.lists(st.sampled_from([*DEVICES, "x", "9900034257305", "ä,b"]), min_size=1, max_size=7)
VERBS = st.sampled_from(["assign", "remove"])
DOORS = st.sampled_from(["v1", "v2", "v3", "own"])
KEYS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d"]))


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
        self.chance = random.Random(Life.number)
        self.account = self.world.add_account(self.name, licenses=5)
        self.pool = Pool(5, self.world.clock())
        self.login: Login = self.world.add_login(self.name)

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

    def write(
        self, door: str, verb: str, items: list[str], **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        if door == "own":
            path = f"/api/fotapool/v1/accounts/{self.name}/{verb}"
            return self.ask("POST", path, {"imeis": items}, **headers)
        path = f"/api/fota/{door}/licenses/{self.name}/{verb}"
        return self.ask("POST", path, {"deviceList": items}, **headers)

    # --- what people do -----------------------------------------------------------------------

    @rule(items=ITEMS)
    def register(self, items: list[str]) -> None:
        self.pool.now_ms = self.world.clock()
        change = self.world.carry_out(self.account, Verb.REGISTER, items)
        assert words(change.outcomes) == self.pool.carry_out("register", items)

    @rule(door=DOORS, verb=VERBS, items=ITEMS, key=KEYS)
    def change(self, door: str, verb: str, items: list[str], key: str | None) -> None:
        self.pool.now_ms = self.world.clock()
        request = (door, verb, json.dumps(items))
        known = self.pool.known_key(key) if key else None
        headers = {"idempotency_key": key} if key else {}
        status, told, body = self.write(door, verb, items, **headers)

        if known is not None and known.request != request:
            assert (status, json.loads(body)["errorCode"]) == (422, "IDEMPOTENCY_KEY_REUSED")
            return
        assert status == 200, body
        if known is not None:
            assert (body, told["idempotency-replayed"]) == (known.answer, "true")
            return
        expected = self.pool.carry_out(verb, items)
        assert "idempotency-replayed" not in told
        assert int(told["fotapool-change"]) == self.pool.last.sequence
        self.compare_answer(door, json.loads(body), items, expected)
        if key:
            self.pool.keep_key(key, Key(request, body, self.pool.last.at_ms // DAY_MS))

    def compare_answer(self, door: str, told: Any, items: list[str], expected: list[str]) -> None:
        if door == "own":
            assert [(item["imei"], item["outcome"]) for item in told["items"]] == list(
                zip(items, expected, strict=True)
            )
            assert (told["total"], told["used"]) == (5, len(self.pool.licensed))
            return
        succeeded = [item["status"].endswith("Success") for item in told["deviceList"]]
        good = {"assigned", "already_licensed", "removed"}
        assert [item["deviceId"] for item in told["deviceList"]] == items
        assert succeeded == [outcome in good for outcome in expected]
        assert told["licUsedCount"] == len(self.pool.licensed)

    @rule(verb=VERBS, items=ITEMS, off=st.integers(-2, 2))
    def change_if(self, verb: str, items: list[str], off: int) -> None:
        self.pool.now_ms = self.world.clock()
        wanted = max(0, self.pool.last.sequence + off)
        status, _, body = self.write("own", verb, items, if_match=f'"{wanted}"')
        if off == 0:
            assert words_of(body) == self.pool.carry_out(verb, items)
        else:
            assert status == 412

    @rule(verb=VERBS, items=ITEMS)
    def rehearse(self, verb: str, items: list[str]) -> None:
        status, _, body = self.write("own", f"dry-run/{verb}", items)
        assert status == 200
        assert json.loads(body)["sequence"] == self.pool.last.sequence
        assert words_of(body) == self.pool.rehearse(verb, items)

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
        door, verb, items = self.pool.keys[text].request
        self.change(door, verb, json.loads(items), text)

    # --- what must be true --------------------------------------------------------------------

    @invariant()
    def stands_as_the_model_says(self) -> None:
        told = self.read("/status")
        assert told["sequence"] == self.pool.last.sequence
        assert (told["total"], told["used"]) == (5, len(self.pool.licensed))
        assert devices_of(told) == stood(self.pool.licensed)
        door = self.chance.choice(["v2", "v3"])
        _, _, body = self.ask("GET", f"/api/fota/{door}/licenses/{self.name}")
        assert [item["deviceId"] for item in json.loads(body)["deviceList"]] == sorted(
            self.pool.licensed
        )

    @invariant()
    def stood_as_the_model_says(self) -> None:
        made = self.chance.choice(self.pool.changes)
        told = self.read(f"/as-of?sequence={made.sequence}")
        assert (told["used"], told["at"]) == (len(made.licensed), rfc3339(made.at_ms))
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


REFUSED = {"malformed", "unknown_device", "no_free_license", "not_licensed"}


def words(outcomes: bytes) -> list[str]:
    from fotapool.model import Outcome

    return [Outcome(outcome).word for outcome in outcomes]


def words_of(body: bytes) -> list[str]:
    return [item["outcome"] for item in json.loads(body)["items"]]


def devices_of(told: Any) -> dict[str, str]:
    assert "next" not in told
    return {item["imei"]: item["assigned_at"] for item in told["items"]}


def stood(licensed: dict[str, tuple[int, int]]) -> dict[str, str]:
    assert all(map(is_imei, licensed))
    return {device: rfc3339(at_ms) for device, (_, at_ms) in sorted(licensed.items())}


def rfc3339(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{at_ms % 1000:03d}Z"


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
