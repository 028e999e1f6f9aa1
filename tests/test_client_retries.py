"""How long a server asks to be left alone, read from the headers of its answer."""

from __future__ import annotations

import pytest

from fotapool.client.retry_after import retry_after_s

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
]  # fmt: skip


@pytest.mark.parametrize(("asked", "finer", "date", "seconds"), ASKED, ids=range(len(ASKED)))
def test_retry_after(
    asked: str | None, finer: str | None, date: str | None, seconds: float | None
) -> None:
    given = {"retry-after": asked, "retry-after-ms": finer, "date": date}
    headers = {name: value for name, value in given.items() if value is not None}

    assert retry_after_s(headers) == seconds
