"""What is likely a mistake in a request: an unknown path, a malformed IMEI, a deprecated call."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec

from fotapool.api import ROUTES
from fotapool.model import MALFORMED_IMEI as NO_IMEI
from fotapool.model import DeviceList, parse_imei
from fotapool.testing.exchange import Answer, Asked, Remark

UNKNOWN_PATH = "unknown_path"
MALFORMED_IMEI = "malformed_imei"
DEPRECATED_CALL = "deprecated_call"

STRICT_CODE = "EMULATOR_STRICT"

_HAS_DEVICES = frozenset(
    {
        "assign",
        "remove",
        "candidates",
        "register",
        "unregister",
        "schedule",
        "start",
        "finish",
        "fail",
        "cancel",
        "devices",
        "upgrades",
        "dry-run/assign",
        "dry-run/remove",
    }
)


def remarks_of(asked: Asked) -> Iterator[Remark]:
    """Everything that is likely a mistake."""
    request = asked.request
    if asked.call is None:
        yield Remark(
            UNKNOWN_PATH, f"no operation {request.method} {request.path}; {nearest(asked)}"
        )
        return
    if asked.operation in _HAS_DEVICES:
        devices = DeviceList.parse(asked.items)
        if NO_IMEI in devices.imeis:
            wrong = [item for item in devices.items if parse_imei(item) is None]
            yield Remark(MALFORMED_IMEI, f"{shape(wrong[0])}{_more(wrong)}")
    successor = asked.call.route.successor
    if successor:
        now = successor.format_map(asked.call.segments)
        yield Remark(DEPRECATED_CALL, f"{request.method} {request.path} is deprecated; use {now}")


def refuse_remark(remark: Remark) -> Answer:
    """The answer of a strict emulator."""
    told = {"errorCode": STRICT_CODE, "errorMessage": f"{remark.code}: {remark.text}"}
    return Answer(400, {"content-type": "application/json"}, msgspec.json.encode(told))


def nearest(asked: Asked) -> str:
    """Which operation was probably meant."""
    request = asked.request
    allowed = [route.method for route in ROUTES if route.pattern.fullmatch(request.path)]
    if allowed:
        return f"this path answers {', '.join(sorted(set(allowed)))}"
    wanted = f"{request.method} {request.path}"
    known = [f"{route.method} {route.path}" for route in ROUTES]
    (closest, *_) = difflib.get_close_matches(wanted, known, 1, cutoff=0.0)
    return f"the nearest is {closest}"


def shape(item: str) -> str:
    """What is wrong with a text that is no IMEI."""
    if item.isascii() and item.isdigit():
        return f"{item!r} has {len(item)} digits, an IMEI has 15"
    return f"{item!r} is not 15 digits"


def _more(wrong: list[str]) -> str:
    return f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
