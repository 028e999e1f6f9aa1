"""How long a server asks to be left alone, and how long it then is."""

from __future__ import annotations

import pytest

from fotapool import Client, Response, TooManyRequests
from fotapool.client.attempts import Shown
from fotapool.client.retry_after import retry_after_s
from world import ACCOUNT, Script, answer

NOON, LATER = "Wed, 29 Nov 2017 12:00:00 GMT", "Wed, 29 Nov 2017 12:00:30 GMT"

# retry-after    retry-after-ms  date    seconds
ASKED = [
    (None,       None,           NOON,   None),
    ("3",        None,           None,   3.0),
    (" 3 ",      None,           None,   3.0),
    ("0",        None,           None,   0.0),
    ("1.5",      None,           None,   1.5),
    (None,       "1500",         None,   1.5),
    ("3",        "1500",         None,   1.5),
    ("3",        "soon",         None,   3.0),
    (LATER,      None,           NOON,   30.0),
    (NOON,       None,           LATER,  0.0),
    (LATER,      None,           None,   None),
    (LATER,      None,           "now",  None),
    ("Wednesday, 29-Nov-17 12:00:30 GMT", None, NOON, 30.0),
    ("Wed Nov 29 12:00:30 2017", None,   NOON,   30.0),
    ("-3",       None,           NOON,   None),
    ("soon",     None,           NOON,   None),
    ("³",        None,           NOON,   None),
    ("",         "",             "",     None),
    ("9" * 400,  None,           NOON,   None),
    ("Wed, 99 Nov 2017 12:00:00 GMT", None, NOON, None),
    ("Wed, 29 Nov 99999999999 12:00:00 GMT", None, NOON, None),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "finer", "date", "seconds"), ASKED, ids=range(len(ASKED)))
def test_retry_after(
    asked: str | None, finer: str | None, date: str | None, seconds: float | None
) -> None:
    given = {"retry-after": asked, "retry-after-ms": finer, "date": date}
    headers = {name: value for name, value in given.items() if value is not None}

    assert retry_after_s(headers) == seconds


def slower(seconds: int) -> Response:
    return answer(429, retry_after=str(seconds))


def test_the_longest_wait_that_was_asked_for_is_the_one_that_is_told() -> None:
    shown = Shown()
    shown.take(TooManyRequests(slower(20)), now_s=0)
    shown.take(TooManyRequests(slower(1)), now_s=1)

    assert shown.quiet_s(2, left_s=60) == 18
    with pytest.raises(TooManyRequests) as caught:
        shown.quiet_s(2, left_s=5)
    assert caught.value.retry_after_s == 20


class Busy(Script):
    """Its clock goes on by what is waited; while the first waits, another call is asked to."""

    def __init__(self, *answers: Response) -> None:
        super().__init__(*answers)
        self.now_s = 0.0
        self.client: Client | None = None

    def clock_s(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        if self.client is not None and self.now_s == 0:
            self.client._shown.take(TooManyRequests(slower(30)), self.now_s)
        self.now_s += seconds


def test_who_waits_goes_on_waiting_if_another_is_asked_to_meanwhile() -> None:
    busy = Busy(slower(5), answer(200, {"accountName": ACCOUNT}))
    busy.client = Client(access_token="t", session_token="s", transport=busy)

    assert busy.client.licenses.subscription(ACCOUNT).account == ACCOUNT
    assert busy.now_s == 30
