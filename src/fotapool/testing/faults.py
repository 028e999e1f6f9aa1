"""What goes wrong in the field, by name: every fault is one class and one row of `FAULTS`.

`on_the_wire` tells what a client gets to see, `good_client` what it does about it; the page
docs/reference/faults.md says the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from fotapool.testing.fault import Fault
from fotapool.testing.faults_service import (
    DevicesRefused,
    KeysIgnored,
    PoolExhausted,
    SessionExpired,
    TokenRevoked,
)
from fotapool.testing.faults_wire import (
    AnswerDelayed,
    AnswerLost,
    ConnectionCut,
    HtmlPage,
    JsonMalformed,
    MembersMissing,
    PageRepeated,
    PageShuffled,
    SlowDrip,
    Spelling,
    TimeStyle,
    TooManyRequests,
    Unavailable,
)

__all__ = [
    "FAULTS",
    "AnswerDelayed",
    "AnswerLost",
    "ConnectionCut",
    "DevicesRefused",
    "HtmlPage",
    "JsonMalformed",
    "KeysIgnored",
    "MembersMissing",
    "PageRepeated",
    "PageShuffled",
    "PoolExhausted",
    "SessionExpired",
    "SlowDrip",
    "Spelling",
    "TimeStyle",
    "TokenRevoked",
    "TooManyRequests",
    "Unavailable",
]

FAULTS: Sequence[type[Fault]] = (
    PoolExhausted,
    DevicesRefused,
    SessionExpired,
    TokenRevoked,
    KeysIgnored,
    PageRepeated,
    PageShuffled,
    Spelling,
    TimeStyle,
    MembersMissing,
    JsonMalformed,
    AnswerLost,
    AnswerDelayed,
    ConnectionCut,
    SlowDrip,
    TooManyRequests,
    Unavailable,
    HtmlPage,
)
