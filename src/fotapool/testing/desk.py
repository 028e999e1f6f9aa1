"""One exchange: a request is read, hit by faults, carried out, answered, and noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from functools import partial

from fotapool.api import Call, Reply, Request
from fotapool.model import Clock, Outcome
from fotapool.testing import rewriting
from fotapool.testing.arming import Armed, Faults
from fotapool.testing.books import Books
from fotapool.testing.exchange import Answer, Asked, items_of, operation_of
from fotapool.testing.faults_wire import LISTINGS
from fotapool.testing.journal import Journal
from fotapool.testing.remarks import refuse_remark, remarks_of


class Desk:
    """Answers requests by the books, and does what faults ask for (`fault.Hands`). Thread-safe."""

    def __init__(
        self, books: Books, clock: Clock, faults: Faults, journal: Journal, *, strict: bool
    ) -> None:
        self._books = books
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._strict = strict
        self._pages: dict[tuple[str, str], bytes] = {}
        self._reasons: dict[tuple[str, str], dict[str, str]] = {}

    def exchange(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """What comes back for a request, and how it travels. Header names are in lower case."""
        request = Request(method, path, query, headers, body, self._books.random(16))
        asked = self._read(request)
        at_ms = self._clock()
        answer = self._answer(asked).with_headers(
            date=formatdate(at_ms / 1000, usegmt=True), x_request_id=request.id.hex()
        )
        self._journal.note(asked, answer, at_ms)
        return answer

    def forget(self) -> None:
        """Forget what exchanges have left behind, after the books went back."""
        self._journal.clear()
        self._pages.clear()
        self._reasons.clear()

    def _read(self, request: Request) -> Asked:
        api = self._books.api
        row = api.find(request.method, request.path)
        found = row if isinstance(row, Reply) else api.call(row, request)
        call = found if isinstance(found, Call) else None
        asked = Asked(
            request,
            request,
            found,
            operation_of(call),
            (call and call.segment("account")) or "",
            items_of(request.body),
        )
        asked.remarks.extend(remarks_of(asked))
        return asked

    def _answer(self, asked: Asked) -> Answer:
        drawn: list[Armed] = []
        answer: Answer | None = None
        for armed in self._faults.drawn(asked, self):
            drawn.append(armed)
            answer = armed.fault.before(asked, self)
            if answer is not None:
                break
        if answer is None:
            answer = self._carry_out(asked)
        for fault in list(self._faults.landed(drawn, asked, answer)):
            answer = fault.after(asked, answer, self)
        if asked.operation in LISTINGS and answer.status == 200:
            self._pages[asked.operation, asked.account] = answer.body
        return answer

    def _carry_out(self, asked: Asked) -> Answer:
        if self._strict and asked.remarks:
            return refuse_remark(asked.remarks[0])
        if isinstance(asked.found, Reply):
            return _told(asked.found)
        try:
            reply, asked.change = self._books.answer(asked.found)
        finally:
            self._books.forget_refusals(asked.request.id)
        return self._with_reasons(asked, _told(reply))

    def _with_reasons(self, asked: Asked, answer: Answer) -> Answer:
        """With the texts of a fault, also when the answer of a change is given again."""
        if asked.change is None:
            return answer
        about = (asked.account, str(asked.change.sequence))
        if asked.reasons:
            self._reasons[about] = asked.reasons
        reasons = self._reasons.get(about)
        if not reasons:
            return answer
        body = rewriting.rewritten(answer.body, partial(rewriting.reasoned, reasons=reasons))
        return replace(answer, body=body)

    # --- what faults ask for -----------------------------------------------------------------

    def now_ms(self) -> int:
        return self._clock()

    def shrink(self, asked: Asked, free: int) -> None:
        self._books.shrink(asked.account, free)

    def refuse(self, asked: Asked, verdicts: dict[int, Outcome], reason: str) -> None:
        self._books.refuse(asked.request.id, verdicts)
        asked.refused |= dict.fromkeys(verdicts, asked.faults[-1])
        if reason:
            asked.reasons |= {asked.items[at]: reason for at in verdicts}

    def end_session(self, asked: Asked) -> None:
        self._books.end_session(asked.request.session)

    def revoke_token(self, asked: Asked) -> None:
        self._books.revoke_token(asked.request.bearer or "")

    def page_before(self, asked: Asked) -> bytes | None:
        call = asked.call
        if call is None or asked.operation not in LISTINGS:
            return None
        cursor = call.segment("cursor") or call.query("lastSeenDeviceId") or call.query("cursor")
        if cursor in (None, "", "0"):
            return None
        return self._pages.get((asked.operation, asked.account))


def _told(reply: Reply) -> Answer:
    headers = {name.lower(): value for name, value in reply.headers}
    if reply.body:
        headers.setdefault("content-type", "application/json")
    return Answer(reply.status, headers, reply.body)
