"""Which faults are armed, and for which requests: by count, by chance, by what is asked."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self, TypedDict, Union, Unpack

import msgspec

from fotapool.model import ConfigurationError
from fotapool.testing import faults
from fotapool.testing.exchange import Answer, Asked, Match
from fotapool.testing.fault import Fault, Hands
from fotapool.testing.faults import FAULTS
from fotapool.testing.faults_wire import RetryForm


class When(Match, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For which requests, and how often.

    The first `skip` that match are let through, then `times` are hit: 1 if nothing is said,
    without end for None or where there is a `probability`, the chance of each, drawn from `seed`.
    """

    times: int | msgspec.UnsetType | None = msgspec.UNSET
    skip: int = 0
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ConfigurationError(f"probability {self.probability:g}: use one above 0, up to 1")
        if self.skip < 0 or (isinstance(self.times, int) and self.times < 1):
            raise ConfigurationError("use times from 1 and skip from 0")

    @property
    def limit(self) -> int | None:
        """How many requests are hit at most."""
        if self.times is msgspec.UNSET:
            return 1 if self.probability == 1 else None
        return self.times


class Matching(TypedDict, total=False):
    """The arguments of `When`."""

    operation: str
    method: str
    path: str
    account: str
    imei: str
    times: int | None
    skip: int
    probability: float
    seed: int


class Armed:
    """A fault that waits for its requests. As a context manager it is disarmed at the end."""

    def __init__(self, number: int, fault: Fault, when: When, owner: Faults) -> None:
        self.number = number
        self.fault = fault
        self.when = when
        self.hits: int = 0
        """How many requests it has hit."""
        self._matched = 0
        self._owner = owner
        self._chance = random.Random(when.seed)  # noqa: S311 -- the same chances every time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.disarm()

    def __repr__(self) -> str:
        return f"<{self.fault.word()}, {self.hits} hits>"

    def disarm(self) -> None:
        """Let it hit no more."""
        self._owner.disarm(self)

    @property
    def spent(self) -> bool:
        """Whether it will hit no more by itself."""
        return self.when.limit is not None and self.hits >= self.when.limit

    def hit(self, asked: Asked, hands: Hands) -> bool:
        """Whether this request is one of its own; counts it."""
        if self.spent or not self.when.fits(asked) or not self.fault.applies(asked, hands):
            return False
        self._matched += 1
        if self._matched <= self.when.skip or self._chance.random() >= self.when.probability:
            return False
        self.hits += 1
        return True

    def give_back(self) -> None:
        """The last hit came to nothing: it does not count."""
        self.hits -= 1

    def told(self) -> dict[str, object]:
        """As the control API shows it, and takes it."""
        about: dict[str, object] = {**msgspec.to_builtins(self.fault)}
        about |= msgspec.to_builtins(self.when)
        return {"number": self.number, **about, "hits": self.hits, "spent": self.spent}


class Faults:
    """The faults that are armed. A method of each name arms one; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Armed] = []
        self._numbers = 0

    def __iter__(self) -> Iterator[Armed]:
        return iter(list(self._armed))

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, fault: Fault, when: When | None = None) -> Armed:
        """Let a fault happen to the requests that match."""
        with self._lock:
            self._numbers += 1
            armed = Armed(self._numbers, fault, when or When(), self)
            self._armed.append(armed)
        return armed

    def arm_told(self, told: Mapping[str, Any]) -> Armed:
        """Arm what plain values tell: `fault` is the name, beside it what it and `When` take.

        Raises ConfigurationError.
        """
        about = dict(told)
        when = {name: about.pop(name) for name in When.__struct_fields__ if name in about}
        try:
            fault = msgspec.convert(about, _ANY_FAULT)
            return self.arm(fault, msgspec.convert({**fault.usually, **when}, When, strict=False))
        except msgspec.ValidationError as error:
            known = ", ".join(kind.word() for kind in FAULTS)
            raise ConfigurationError(f"fault: {error}; faults are {known}") from error

    def disarm(self, armed: Armed) -> None:
        with self._lock:
            self._armed = [other for other in self._armed if other is not armed]

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed = []

    def drawn(self, asked: Asked, hands: Hands) -> Iterator[Armed]:
        """What hits a request, in the order in which it was armed."""
        for armed in self:
            with self._lock:
                hit = armed.hit(asked, hands)
            if hit:
                asked.faults.append(armed.fault.word())
                yield armed

    def landed(self, drawn: Sequence[Armed], asked: Asked, answer: Answer) -> Iterator[Fault]:
        """Of what hit a request that which came to anything; the rest waits for another."""
        for armed in drawn:
            if armed.fault.lands(asked, answer):
                yield armed.fault
            else:
                asked.faults.remove(armed.fault.word())
                with self._lock:
                    armed.give_back()

    # One method a fault, in the order of `FAULTS`; what each does is told there.

    def pool_exhausted(self, *, after: int = 0, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.PoolExhausted(after_=after), When(**when))

    def devices_refused(
        self,
        imeis: Sequence[str] = (),
        *,
        every: int = 0,
        outcome: str = "",
        reason: str = "",
        **when: Unpack[Matching],
    ) -> Armed:
        fault = faults.DevicesRefused(
            imeis=tuple(imeis), every=every, outcome=outcome, reason=reason
        )
        return self.arm(fault, When(**when))

    def session_expired(self, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.SessionExpired(), When(**when))

    def token_revoked(self, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.TokenRevoked(), When(**when))

    def keys_ignored(self, **when: Unpack[Matching]) -> Armed:
        return self.arm_told({"fault": "keys_ignored", **when})

    def page_repeated(self, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.PageRepeated(), When(**when))

    def page_shuffled(self, *, order: int = 0, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.PageShuffled(order=order), When(**when))

    def spelling(
        self, names: Literal["older", "newer"] = "older", **when: Unpack[Matching]
    ) -> Armed:
        return self.arm(faults.Spelling(names=names), When(**when))

    def time_style(
        self, style: Literal["go", "rfc3339", "seconds", "offset"] = "go", **when: Unpack[Matching]
    ) -> Armed:
        return self.arm(faults.TimeStyle(style=style), When(**when))

    def members_missing(self, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.MembersMissing(), When(**when))

    def json_malformed(self, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.JsonMalformed(), When(**when))

    def answer_lost(self, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.AnswerLost(), When(**when))

    def answer_delayed(self, seconds: float = 60.0, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.AnswerDelayed(seconds=seconds), When(**when))

    def connection_cut(
        self, where: Literal["before", "within"] = "before", **when: Unpack[Matching]
    ) -> Armed:
        return self.arm(faults.ConnectionCut(where=where), When(**when))

    def slow_drip(self, seconds: float = 10.0, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.SlowDrip(seconds=seconds), When(**when))

    def too_many_requests(
        self, retry_after_s: float = 1.0, form: RetryForm = "seconds", **when: Unpack[Matching]
    ) -> Armed:
        fault = faults.TooManyRequests(retry_after_s=retry_after_s, form=form)
        return self.arm(fault, When(**when))

    def unavailable(
        self, retry_after_s: float = 1.0, form: RetryForm = "seconds", **when: Unpack[Matching]
    ) -> Armed:
        fault = faults.Unavailable(retry_after_s=retry_after_s, form=form)
        return self.arm(fault, When(**when))

    def html_page(self, status: int = 502, **when: Unpack[Matching]) -> Armed:
        return self.arm(faults.HtmlPage(status=status), When(**when))


_ANY_FAULT: Any = Union[tuple(FAULTS)]  # noqa: UP007 -- made of a list
