"""What goes wrong with answers, and on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from email.utils import formatdate
from typing import Literal

import msgspec

from fotapool.api import refuse
from fotapool.model import ConfigurationError, Refusal
from fotapool.testing import rewriting
from fotapool.testing.exchange import Answer, Asked, Cut
from fotapool.testing.fault import Fault, Hands

LISTINGS = frozenset({"status", "devices"})

RetryForm = Literal["seconds", "date", "milliseconds", "none"]


# --- in the answer ------------------------------------------------------------------------------


class _OfGoodAnswer(Fault, frozen=True):
    """What happens to a good answer, and waits for one."""

    def lands(self, asked: Asked, answer: Answer) -> bool:
        return 200 <= answer.status < 300


class PageRepeated(_OfGoodAnswer, frozen=True, tag_field="fault", tag="page_repeated"):
    """A page comes a second time."""

    on_the_wire = "the page before the one asked for once more, cursor and all"
    good_client = (
        "sees that the cursor did not move, and asks again or fails; counts no device twice"
    )

    def applies(self, asked: Asked, hands: Hands) -> bool:
        return hands.page_before(asked) is not None

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return replace(answer, body=hands.page_before(asked) or answer.body)


class PageShuffled(_OfGoodAnswer, frozen=True, tag_field="fault", tag="page_shuffled"):
    """The devices of a page are in no order; `order` picks which."""

    on_the_wire = "the devices of the page in another order; `lastSeenDeviceId` is the right one"
    good_client = "goes on from `lastSeenDeviceId`, never from the last device of the list"

    order: int = 0

    def applies(self, asked: Asked, hands: Hands) -> bool:
        return asked.operation in LISTINGS

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        body = rewriting.rewritten(answer.body, lambda told: rewriting.shuffled(told, self.order))
        return replace(answer, body=body)


class Spelling(_OfGoodAnswer, frozen=True, tag_field="fault", tag="spelling"):
    """Of members that the documents spell in two ways, only one spelling comes."""

    on_the_wire = (
        '`names="older"`: `totalLicense`, `licTotalCount`, `resultReason` alone; '
        '`names="newer"`: `totalLicenses`, `licCount`, `Reason` alone'
    )
    good_client = "reads either"

    names: Literal["older", "newer"] = "older"

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        newer = self.names == "newer"
        body = rewriting.rewritten(answer.body, lambda told: rewriting.spelled(told, newer))
        return replace(answer, body=body)


class TimeStyle(_OfGoodAnswer, frozen=True, tag_field="fault", tag="time_style"):
    """Times come in another of the documented styles."""

    on_the_wire = (
        "every time as `go` (`2017-11-29 20:15:42.738 +0000 UTC`), `rfc3339` "
        "(`2017-11-29T20:15:42.738Z`), `seconds` (`2017-11-29T20:15:42Z`) or `offset` "
        "(`2017-11-29T20:15:42.738+00:00`)"
    )
    good_client = "reads all of them, and keeps a text that it cannot read"

    style: Literal["go", "rfc3339", "seconds", "offset"] = "go"

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        body = rewriting.rewritten(answer.body, lambda told: rewriting.timed(told, self.style))
        return replace(answer, body=body)


class MembersMissing(_OfGoodAnswer, frozen=True, tag_field="fault", tag="members_missing"):
    """Optional members are left out."""

    on_the_wire = (
        "no `totalLicense(s)`, `licCount`, reasons, times of devices, and no `deviceList` where "
        "it is empty"
    )
    good_client = "takes what is absent for unknown, never for 0 and never for an error"

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return replace(answer, body=rewriting.rewritten(answer.body, rewriting.bare))


class JsonMalformed(_OfGoodAnswer, frozen=True, tag_field="fault", tag="json_malformed"):
    """The body breaks off; the request was carried out."""

    on_the_wire = "the status and headers of a good answer, and two thirds of its body"
    good_client = (
        "raises an error that keeps the body; does not take a write for undone: asks again under "
        "the same idempotency key, or reads what came of it"
    )

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return replace(answer, body=answer.body[: len(answer.body) * 2 // 3])


# --- on the way ---------------------------------------------------------------------------------


class AnswerLost(_OfGoodAnswer, frozen=True, tag_field="fault", tag="answer_lost"):
    """The request is carried out, and its answer never arrives."""

    on_the_wire = "the connection breaks after the commit, without a byte of the answer"
    good_client = (
        "asks again under the same idempotency key; a server that keeps none is asked what the "
        "devices hold now, and gets only what is missing"
    )

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return replace(answer, cut=Cut.BEFORE_ANSWER)


class AnswerDelayed(Fault, frozen=True, tag_field="fault", tag="answer_delayed"):
    """The answer takes its time; the request was carried out meanwhile."""

    on_the_wire = "nothing for `seconds` s, then the answer"
    good_client = (
        "waits as long as it was told to, then treats the request like one whose answer is lost"
    )

    seconds: float = 60.0

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return replace(answer, delay_s=answer.delay_s + self.seconds)


class ConnectionCut(Fault, frozen=True, tag_field="fault", tag="connection_cut"):
    """The connection breaks before the request is carried out, or within the answer."""

    on_the_wire = (
        '`where="before"`: the connection breaks and nothing was done; `where="within"`: it '
        "breaks after half of the answer's body"
    )
    good_client = "cannot know which, so does as with a lost answer"

    where: Literal["before", "within"] = "before"

    def before(self, asked: Asked, hands: Hands) -> Answer | None:
        return Answer(0, cut=Cut.BEFORE_ANSWER) if self.where == "before" else None

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return answer if self.where == "before" else replace(answer, cut=Cut.WITHIN_ANSWER)


class SlowDrip(Fault, frozen=True, tag_field="fault", tag="slow_drip"):
    """The body comes a little at a time."""

    on_the_wire = "the headers at once, the body in 20 pieces over `seconds` s"
    good_client = "bounds the whole call, not only each read"

    seconds: float = 10.0

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        return replace(answer, drip_s=answer.drip_s + self.seconds)


class TooManyRequests(Fault, frozen=True, tag_field="fault", tag="too_many_requests"):
    """The service wants fewer requests."""

    on_the_wire = (
        "429, nothing done; Retry-After as `seconds`, as an HTTP `date` to be held against the "
        "answer's Date, as `milliseconds` in `retry-after-ms`, or (`none`) not at all"
    )
    good_client = "waits as long as it is told, all of its calls do, then sends again, a write too"

    retry_after_s: float = 1.0
    form: RetryForm = "seconds"

    def before(self, asked: Asked, hands: Hands) -> Answer:
        body = msgspec.json.encode(
            {"errorCode": "TOO_MANY_REQUESTS", "errorMessage": "Slower, please."}
        )
        answer = Answer(429, {"content-type": "application/json"}, body)
        return _retry_after(answer, self.form, self.retry_after_s, hands.now_ms())


class Unavailable(Fault, frozen=True, tag_field="fault", tag="unavailable"):
    """The service takes no requests now."""

    on_the_wire = "503, nothing done; Retry-After in the same four forms"
    good_client = (
        "sends reads again, and writes under their idempotency key; without a key only where "
        "Retry-After shows that nothing was begun"
    )

    retry_after_s: float = 1.0
    form: RetryForm = "seconds"

    def before(self, asked: Asked, hands: Hands) -> Answer:
        reply = refuse(asked.request.path, Refusal.BUSY)
        answer = Answer(reply.status, {"content-type": "application/json"}, reply.body)
        return _retry_after(answer, self.form, self.retry_after_s, hands.now_ms())


class HtmlPage(Fault, frozen=True, tag_field="fault", tag="html_page"):
    """A proxy answers in the service's stead."""

    on_the_wire = "`status` with a page of HTML; the request never reached the service"
    good_client = "raises an error whose text can be shown, by the status and not by the body"

    status: int = 502

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ConfigurationError(f"html_page: status {self.status}: use one from 200 to 599")

    def before(self, asked: Asked, hands: Hands) -> Answer:
        title = f"{self.status} Proxy Error"
        page = (
            f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
        )
        return Answer(self.status, {"content-type": "text/html"}, page.encode())


def _retry_after(answer: Answer, form: RetryForm, seconds: float, now_ms: int) -> Answer:
    if form == "seconds":
        return answer.with_headers(retry_after=f"{math.ceil(seconds)}")
    if form == "milliseconds":
        return answer.with_headers(retry_after_ms=f"{seconds * 1000:.0f}")
    if form == "date":
        return answer.with_headers(retry_after=formatdate(now_ms / 1000 + seconds, usegmt=True))
    return answer
