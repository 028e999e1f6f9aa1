"""How long a server asks to be left alone: Retry-After in its three forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that the headers of an answer ask for; names in lower case.

    `retry-after-ms` in milliseconds, else `Retry-After` in seconds, else as an HTTP date, which is
    held against the answer's own Date: clocks of two machines differ. None where nothing is asked
    or it cannot be read; a date that has passed is 0.
    """
    finer, asked = headers.get("retry-after-ms", "").strip(), headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(finer):
        return float(finer) / 1000
    if _SECONDS.fullmatch(asked):
        return float(asked)
    until, now = _date(asked), _date(headers.get("date", ""))
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    if not text:
        return None
    # Imported here: few answers say it like this, and it would be felt in each import of ours.
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
