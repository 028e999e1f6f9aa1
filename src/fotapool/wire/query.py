"""Our own reads: parameters, each known and given once, and places in lists of pages.

What is not known is refused, never passed over (docs/reference/protocol.md R17).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

import msgspec

from fotapool.model import Cursor, Refusal, Refused, parse_imei
from fotapool.wire._json import encode, parse_time
from fotapool.wire.answered import UNREADABLE

T = TypeVar("T")

NAME_SHOWN_MAX = 64
PLACE_CHARACTERS_MAX = 1000

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


def read_query(query: str, known: Sequence[str]) -> dict[str, str]:
    """The parameters of a read, each known and given once. Raises Refused."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise Refused(Refusal.FIELD_UNKNOWN, name=name[:NAME_SHOWN_MAX])
        if name in found:
            raise Refused(Refusal.PARAMETER_INVALID, name=name, expected="given once")
        found[name] = value
    return found


def read_moment(name: str, text: str | None) -> int | None:
    """A parameter's moment in milliseconds. Raises Refused."""
    if text is None:
        return None
    # A plus that was not encoded arrives as a blank; T and Z may be small (RFC 3339 5.6).
    text = text.replace(" ", "+").upper()
    moment = parse_time(text)
    if moment is None or "T" not in text or not (text.endswith("Z") or text[-6:-5] in "+-"):
        expected = "a time in RFC 3339, such as 2026-03-03T12:00:00Z"
        raise Refused(Refusal.PARAMETER_INVALID, name=name, expected=expected)
    return int(moment.timestamp() * 1000)


def read_number(name: str, text: str | None) -> int | None:
    """A parameter's sequence. Raises Refused."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused(Refusal.PARAMETER_INVALID, name=name, expected="a sequence, such as 7")
    return int(text)


def read_word(name: str, text: str | None, words: Mapping[str, T]) -> T | None:
    """What a parameter's word stands for; None where it is not given. Raises Refused."""
    if text is None:
        return None
    if text not in words:
        expected = "one of " + ", ".join(sorted(words))
        raise Refused(Refusal.PARAMETER_INVALID, name=name, expected=expected)
    return words[text]


def read_imei(name: str, text: str | None) -> int | None:
    """A parameter's device. Raises Refused."""
    imei = None if text is None else parse_imei(text)
    if text is not None and imei is None:
        raise Refused(Refusal.PARAMETER_INVALID, name=name, expected="an IMEI of 15 digits")
    return imei


# --- places in lists ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class List:
    """A list that is read page by page: which one, of which account, with which parameters.

    A place in it is an opaque text; it is good for this very list alone.
    """

    kind: str
    account: str
    parameters: Mapping[str, str]

    def write_place(self, *numbers: int | None) -> str | None:
        """The text for a place; None where there is none."""
        if None in numbers:
            return None
        raw = encode([self._tag(), *numbers])
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def read_place(self, count: int) -> list[int] | None:
        """The numbers of the place that `cursor` names, if it is given. Raises Refused."""
        text = self.parameters.get("cursor")
        if text is None:
            return None
        try:
            padded = text[:PLACE_CHARACTERS_MAX] + "=" * (-len(text) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
            tag, *numbers = msgspec.json.decode(raw, type=list[str | _Number])
        except (*UNREADABLE, ValueError, binascii.Error):
            raise Refused(Refusal.PLACE_INVALID) from None
        found = [number for number in numbers if isinstance(number, int)]
        if tag != self._tag() or not len(found) == len(numbers) == count:
            raise Refused(Refusal.PLACE_INVALID)
        return found

    def _tag(self) -> str:
        asked = sorted((name, text) for name, text in self.parameters.items() if name != "cursor")
        return hashlib.sha256(encode([self.kind, self.account, asked])).hexdigest()[:16]


def read_cursor(listed: List) -> Cursor:
    """Where a page of licensed devices begins. Raises Refused."""
    return Cursor(imei=read_one(listed))


def read_one(listed: List) -> int | None:
    """The one number of a place. Raises Refused."""
    place = listed.read_place(1)
    return None if place is None else place[0]
