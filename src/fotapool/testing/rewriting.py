"""What faults do to a good answer's body: other spellings, other times, another order."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

PAIRS = (
    ("totalLicense", "totalLicenses"),
    ("licTotalCount", "licCount"),
    ("resultReason", "Reason"),
)
"""What the documents spell in two ways: as the first SDK reads it, as the newer one does."""

OPTIONAL = frozenset(
    {
        "totalLicense",
        "totalLicenses",
        "licCount",
        "resultReason",
        "Reason",
        "updatedTime",
        "assignmentTime",
        "deviceList",
    }
)
"""Members that the documents call optional, or that only some of them have."""

_RFC = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?Z")
_GO = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))? \+0000 UTC")

STYLES: Mapping[str, Callable[[str, str, str], str]] = {
    "rfc3339": lambda day, time, part: f"{day}T{time}.{part or '000'}Z",
    "go": lambda day, time, part: f"{day} {time}{_trimmed(part)} +0000 UTC",
    "seconds": lambda day, time, _part: f"{day}T{time}Z",
    "offset": lambda day, time, part: f"{day}T{time}.{part or '0'}+00:00",
}


def rewritten(body: bytes, change: Callable[[Any], Any]) -> bytes:
    """The body with a change made to its JSON; what is no JSON stays as it is."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    return msgspec.json.encode(change(told))


def spelled(told: Any, newer: bool) -> Any:
    """One spelling of each pair instead of both."""
    renames = {pair[not newer]: pair[newer] for pair in PAIRS}

    def change(members: dict[str, Any]) -> dict[str, Any]:
        return {renames.get(name, name): value for name, value in members.items()}

    return _each_object(told, change)


def timed(told: Any, style: str) -> Any:
    """Every time in another style."""
    write = STYLES[style]

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [change(inner) for inner in value]
        found = (_RFC.fullmatch(value) or _GO.fullmatch(value)) if isinstance(value, str) else None
        return write(found[1], found[2], found[3] or "") if found else value

    return change(told)


def bare(told: Any) -> Any:
    """Without optional members; of each pair the first SDK's spelling of totals is kept."""
    kept = {"licTotalCount"}

    def change(members: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in members.items()
            if name in kept or name not in OPTIONAL or (name == "deviceList" and value)
        }

    return _each_object(told, change)


def shuffled(told: Any, seed: int) -> Any:
    """The devices of a page in another order; its cursor stays."""
    order = random.Random(seed)  # noqa: S311 -- the same order every time

    def change(members: dict[str, Any]) -> dict[str, Any]:
        return {
            name: order.sample(value, len(value)) if isinstance(value, list) else value
            for name, value in members.items()
        }

    return change(told) if isinstance(told, dict) else told


def reasoned(told: Any, reasons: Mapping[str, str]) -> Any:
    """With other reasons for some devices."""

    def change(members: dict[str, Any]) -> dict[str, Any]:
        reason = reasons.get(str(members.get("deviceId", "")))
        if reason is None:
            return members
        return {
            name: reason if name in ("resultReason", "Reason") else value
            for name, value in members.items()
        }

    return _each_object(told, change)


def _each_object(told: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(told, dict):
        return change({name: _each_object(inner, change) for name, inner in told.items()})
    if isinstance(told, list):
        return [_each_object(inner, change) for inner in told]
    return told


def _trimmed(part: str) -> str:
    digits = part.rstrip("0")
    return f".{digits}" if digits else ""
