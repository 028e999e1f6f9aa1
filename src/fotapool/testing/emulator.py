"""The emulator as a value: one exchange is asked, hit by faults, answered, and noted."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from typing import Any, Self

from fotapool.api import Call, Reply, Request
from fotapool.client import Client
from fotapool.model import NotFound, Outcome
from fotapool.testing import rewriting
from fotapool.testing.arming import Faults
from fotapool.testing.books import IN_MEMORY, Books
from fotapool.testing.clock import EmulatorClock
from fotapool.testing.exchange import Answer, Asked, items_of, operation_of
from fotapool.testing.fault import Fault
from fotapool.testing.faults_wire import LISTINGS
from fotapool.testing.journal import Journal
from fotapool.testing.remarks import refuse_remark, remarks_of
from fotapool.testing.scenario import START, Login, Scenario
from fotapool.testing.transport import InProcessTransport

BASE_URL = "http://fota.test"
"""Where the in-process emulator seems to be; every other address leads to it as well."""


class Emulator:
    """A license service of one's own: the real rules, a clock and faults to turn.

    `clock`, `faults` and `requests` (the journal) are the handles of a test. With `strict` a
    request with a remark (an unknown path, a malformed IMEI, a deprecated call) is refused. A
    context manager that closes its database. Raises ConfigurationError for an impossible scenario.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        strict: bool = False,
        speed: float = 0.0,
        url: str = IN_MEMORY,
    ) -> None:
        self.scenario = scenario or Scenario()
        self.clock = EmulatorClock(self._start(speed), speed=speed)
        self._speed = speed
        self.faults = Faults()
        self.strict = strict
        self.books = Books(self.scenario, self.clock, url=url)
        # A database of earlier goes on from where it was.
        self.clock.advance(seconds=max(0, self.books.changed_at_ms - self.clock()) / 1000)
        self.requests = Journal(self.scenario, self.books.store)
        self._snapshots: dict[str, _Snapshot] = {}
        self._pages: dict[tuple[str, str], bytes] = {}
        self._reasons: dict[tuple[str, str], dict[str, str]] = {}
        self.generation = 0
        """Counts resets; what an answer still waits for ends with its generation."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.generation += 1
        self.books.close()

    # --- what a test asks of it --------------------------------------------------------------

    @property
    def account(self) -> str:
        """The name of the scenario's first account."""
        return self.scenario.accounts[0].name

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices with which the first account began."""
        return self.scenario.accounts[0].imeis

    @property
    def login(self) -> Login:
        """The scenario's first login."""
        return self.scenario.logins[0]

    def environment(self, base_url: str = BASE_URL) -> dict[str, str]:
        """The variables by which a client of ours finds the emulator and logs in."""
        login = self.login
        return {
            "FOTAPOOL_BASE_URL": base_url,
            "FOTAPOOL_CLIENT_ID": login.client_id,
            "FOTAPOOL_CLIENT_SECRET": login.client_secret,
            "FOTAPOOL_USERNAME": login.username,
            "FOTAPOOL_PASSWORD": login.password,
        }

    def reset(self, *, to_empty: bool = False) -> None:
        """Back to the scenario: books, clock, faults and journal. Snapshots stay."""
        self.generation += 1
        self.faults.clear()
        self.clock.set(self._start(self._speed))
        self.clock.run(self._speed)
        self.books.reset(to_empty=to_empty)
        self._forget()

    def snapshot(self, name: str = "default") -> None:
        """Keep books and clock as they stand, under a name."""
        self._snapshots[name] = _Snapshot(self.books.image(), self.clock())

    def restore(self, name: str = "default") -> None:
        """Go back to a snapshot. Faults stay armed, the journal begins anew. Raises NotFound."""
        kept = self._snapshots.get(name)
        if kept is None:
            known = ", ".join(sorted(self._snapshots)) or "none"
            raise NotFound(f"there is no snapshot {name!r}; there are: {known}")
        self.generation += 1
        self.clock.advance(seconds=(kept.at_ms - self.clock()) / 1000)
        self.books.put_back(kept.image)
        self._forget()

    @property
    def snapshots(self) -> list[str]:
        """The names of what was kept."""
        return sorted(self._snapshots)

    def _start(self, speed: float) -> datetime:
        return self.scenario.now or (datetime.now(UTC) if speed else START)

    def _forget(self) -> None:
        self.requests.clear()
        self._pages.clear()
        self._reasons.clear()

    # --- one exchange ------------------------------------------------------------------------

    def exchange(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """What comes back for a request, and how it travels. Header names are in lower case."""
        request = Request(method, path, query, headers, body, self.books.random(16))
        asked = self._read(request)
        at_ms = self.clock()
        answer = self._answer(asked)
        answer = answer.with_headers(
            date=formatdate(at_ms / 1000, usegmt=True), x_request_id=request.id.hex()
        )
        self.requests.note(asked, answer, at_ms)
        return answer

    def _read(self, request: Request) -> Asked:
        found = self.books.api.find(request)
        call = found if isinstance(found, Call) else None
        account = (call.segment("account") or "") if call else ""
        items = items_of(request.body)
        asked = Asked(request, call, operation_of(call), account, items)
        asked.remarks.extend(remarks_of(asked))
        return asked

    def _answer(self, asked: Asked) -> Answer:
        hands = _Hands(self, asked)
        drawn: list[Fault] = []
        answer: Answer | None = None
        for fault in self.faults.drawn(asked, hands):
            drawn.append(fault)
            answer = fault.before(asked, hands)
            if answer is not None:
                break
        if answer is None:
            answer = self._carry_out(asked)
        for fault in drawn:
            answer = fault.after(asked, answer, hands)
        self._keep_page(asked, answer)
        return answer

    def _carry_out(self, asked: Asked) -> Answer:
        if self.strict and asked.remarks:
            return refuse_remark(asked.remarks[0])
        request = asked.request
        try:
            if asked.call is None:
                found = self.books.api.find(request)
                return _told(found) if isinstance(found, Reply) else Answer(500)
            reply, asked.change = self.books.answer(asked.call)
        finally:
            self.books.forget_refusals(request.id)
        return self._with_reasons(asked, _told(reply))

    def _with_reasons(self, asked: Asked, answer: Answer) -> Answer:
        """With the texts of a fault, also when the answer is given again."""
        change = answer.headers.get("fotapool-change", "")
        reasons = self._reasons.get((asked.account, change or asked.request.id.hex()))
        pending = self._reasons.pop((asked.account, asked.request.id.hex()), None)
        if pending is not None and change:
            reasons = self._reasons[asked.account, change] = pending
        if not reasons:
            return answer
        body = rewriting.rewritten(answer.body, partial(rewriting.reasoned, reasons=reasons))
        return Answer(answer.status, answer.headers, body)

    def _keep_page(self, asked: Asked, answer: Answer) -> None:
        if asked.operation in LISTINGS and answer.status == 200:
            self._pages[asked.operation, asked.account] = answer.body

    def page_before(self, asked: Asked) -> bytes | None:
        """The page that came before the one asked for, in the same listing."""
        call = asked.call
        if call is None or asked.operation not in LISTINGS:
            return None
        cursor = call.segment("cursor") or call.query("lastSeenDeviceId") or call.query("cursor")
        if cursor in (None, "", "0"):
            return None
        return self._pages.get((asked.operation, asked.account))

    def reason(self, asked: Asked, reasons: dict[str, str]) -> None:
        """Keep the texts that a request's answer will have for some devices."""
        kept = self._reasons.setdefault((asked.account, asked.request.id.hex()), {})
        kept.update(reasons)

    # --- clients -----------------------------------------------------------------------------

    @functools.cached_property
    def client(self) -> Client:
        """A client of this emulator, logged in by its first login when it needs to be."""
        return self.new_client()

    def new_client(self, **settings: Any) -> Client:
        """Another client, with arguments of `Client` in place of ours."""
        login = self.login
        ours: dict[str, Any] = {
            "client_id": login.client_id,
            "client_secret": login.client_secret,
            "username": login.username,
            "password": login.password,
            "base_url": BASE_URL,
            # The environment may hold tokens of another server.
            "access_token": "",
            "session_token": "",
            "transport": self.transport,
        }
        return Client(**{**ours, **settings})

    @functools.cached_property
    def transport(self) -> InProcessTransport:
        """What carries requests here without a socket, for clients with settings of their own."""
        return InProcessTransport(self.exchange, self.clock)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    image: bytes = field(repr=False)
    at_ms: int


@dataclass(frozen=True, slots=True)
class _Hands:
    """What a fault may do behind one request."""

    emulator: Emulator
    asked: Asked

    def now_ms(self) -> int:
        return self.emulator.clock()

    def shrink(self, asked: Asked, free: int) -> None:
        self.emulator.books.shrink(asked.account, free)

    def refuse(self, asked: Asked, verdicts: dict[int, Outcome], reason: str) -> None:
        self.emulator.books.refuse(asked.request.id, verdicts)
        asked.refused |= dict.fromkeys(verdicts, asked.faults[-1])
        if reason:
            self.emulator.reason(asked, {asked.items[at]: reason for at in verdicts})

    def end_session(self, asked: Asked) -> None:
        self.emulator.books.end_session(asked.request.session)

    def revoke_token(self, asked: Asked) -> None:
        self.emulator.books.revoke_token(asked.request.bearer or "")

    def page_before(self, asked: Asked) -> bytes | None:
        return self.emulator.page_before(asked)


def _told(reply: Reply) -> Answer:
    headers = {name.lower(): value for name, value in reply.headers}
    if reply.body:
        headers.setdefault("content-type", "application/json")
    return Answer(reply.status, headers, reply.body)
