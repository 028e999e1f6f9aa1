"""One exchange as the emulator sees it: what was asked, what goes back and how it travels."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import msgspec

from fotapool.api import Call, Reply, Request
from fotapool.api import Route as ApiRoute
from fotapool.model import Change

AUTH_OPERATIONS = frozenset({"token", "revoke", "login", "logout"})

_WORDS = {
    "licenses": "status",
    "subscriptions": "subscription",
    "accounts": "account",
    "replace": "candidates",
    "append": "candidates",
    "clear": "candidates",
}


class Cut(Enum):
    """Where a connection breaks."""

    BEFORE_ANSWER = "before the answer"
    WITHIN_ANSWER = "within the answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and how it travels: after how long, how slowly, and whether it arrives."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case."""
    body: bytes = b""
    delay_s: float = 0.0
    drip_s: float = 0.0
    cut: Cut | None = None

    def with_headers(self, **more: str) -> Answer:
        """The same with further headers; `_` in a name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return replace(self, headers={**self.headers, **named})


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a request that works, or fails, yet is likely a mistake."""

    code: str
    """`unknown_path`, `malformed_imei` or `deprecated_call`."""
    text: str


@dataclass(slots=True)
class Asked:
    """A request under way, and what became known of it."""

    sent: Request
    request: Request
    """The same, unless a fault took something out of it."""
    found: Call | Reply
    """The operation, or the reply that there is none of this path and method."""
    operation: str
    account: str
    items: tuple[str, ...]
    """The devices its body names, as they were sent."""
    change: Change | None = None
    faults: list[str] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    """The faults that refuse items of its list, by their place in it."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Texts that such a fault gives with its verdicts, by device."""
    remarks: list[Remark] = field(default_factory=list)

    @property
    def call(self) -> Call | None:
        """The operation, where there is one."""
        return self.found if isinstance(self.found, Call) else None


def without_key(asked: Asked) -> None:
    """Let the request be one to a service that knows no idempotency keys."""
    headers = {k: v for k, v in asked.request.headers.items() if k != "idempotency-key"}
    asked.request = replace(asked.request, headers=headers)
    if isinstance(asked.found, Call):
        asked.found = replace(asked.found, request=asked.request)


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests are meant; what is not named matches all.

    `operation` is a word such as `assign`, `status`, `token`, or `any`; without it, token and
    login calls are left alone. `path` may hold `*`. `imei` is a device that the body names.
    """

    operation: str = ""
    method: str = ""
    path: str = ""
    account: str = ""
    imei: str = ""

    def fits(self, asked: Asked) -> bool:
        if self.operation in ("", "any"):
            meant = self.operation == "any" or asked.operation not in AUTH_OPERATIONS
        else:
            meant = asked.operation == self.operation
        return (
            meant
            and self.method.upper() in ("", asked.request.method)
            and (not self.path or fnmatch.fnmatchcase(asked.request.path, self.path))
            and self.account in ("", asked.account)
            and (not self.imei or self.imei in asked.items)
        )


def operation_of(call: Call | None) -> str:
    """The word for an operation, the same in every wire version; empty where there is none."""
    if call is None:
        return ""
    return _word(call.route)


def _word(route: ApiRoute) -> str:
    named = [part for part in route.path.split("/") if part and "{" not in part]
    last = [part for part in named if part not in ("index", "upgrade")][-1]
    if last == "cancel" and "licenses" in named:
        return "candidates"
    word = _WORDS.get(last, last)
    return f"dry-run/{word}" if route.dry else word


def items_of(body: bytes) -> tuple[str, ...]:
    """The devices that a request's body names, whatever it calls their list."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    if not isinstance(told, dict):
        return ()
    lists = [value for value in told.values() if isinstance(value, list)]
    return tuple(item for named in lists for item in named if isinstance(item, str))
