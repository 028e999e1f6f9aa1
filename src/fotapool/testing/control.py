"""The control API under `/_emulator/`: reset, snapshots, clock, faults, journal. No login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from fotapool.model import ConfigurationError, NotFound
from fotapool.testing.emulator import Emulator
from fotapool.testing.journal import Entry, Judged

CONTROL = "/_emulator"

Told = dict[str, Any]


class ClockOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do to the clock: set it, then let time pass at once, then its speed."""

    set: datetime | None = None
    advance_s: float = 0.0
    speed: float | None = None


class ResetOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to go back to."""

    to: str = "seed"

    def __post_init__(self) -> None:
        if self.to not in ("seed", "empty"):
            raise ValueError("to must be seed or empty")


class Control:
    """The verbs on an emulator, over HTTP. Thread-safe where the emulator is."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._rows: dict[tuple[str, str], Callable[[str, Mapping[str, str], bytes], Told]] = {
            ("GET", ""): self._status,
            ("POST", "reset"): self._reset,
            ("GET", "snapshots"): self._snapshots,
            ("POST", "snapshots"): self._snapshot,
            ("POST", "restore"): self._restore,
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._set_clock,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._arm,
            ("DELETE", "faults"): self._disarm,
            ("GET", "journal"): self._journal,
            ("DELETE", "journal"): self._clear_journal,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Told]:
        """Status and JSON for a request below `/_emulator`; refusals say what to do."""
        word, _, rest = path.removeprefix(CONTROL).strip("/").partition("/")
        row = self._rows.get((method, word))
        if row is None:
            known = ", ".join(f"{verb} {CONTROL}/{name}" for verb, name in self._rows)
            return 404, _error(f"no {method} {path}; there are {known}")
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        try:
            return 200, row(unquote(rest), asked, body)
        except NotFound as error:
            return 404, _error(str(error))
        except (ConfigurationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            return 400, _error(str(error))

    def _status(self, _rest: str, _query: Mapping[str, str], _body: bytes) -> Told:
        emulator = self._emulator
        return {
            "clock": _clock_told(emulator),
            "accounts": [account.name for account in emulator.scenario.accounts],
            "snapshots": emulator.snapshots,
            "faults": len(emulator.faults),
            "requests": len(emulator.requests),
            "strict": emulator.strict,
        }

    def _reset(self, _rest: str, query: Mapping[str, str], body: bytes) -> Told:
        order = _read(body, ResetOrder)
        self._emulator.reset(to_empty=order.to == "empty")
        return self._status("", query, b"")

    def _snapshots(self, _rest: str, _query: Mapping[str, str], _body: bytes) -> Told:
        return {"snapshots": self._emulator.snapshots}

    def _snapshot(self, name: str, query: Mapping[str, str], body: bytes) -> Told:
        self._emulator.snapshot(name or "default")
        return self._snapshots(name, query, body)

    def _restore(self, name: str, query: Mapping[str, str], _body: bytes) -> Told:
        self._emulator.restore(name or "default")
        return self._status("", query, b"")

    def _clock(self, _rest: str, _query: Mapping[str, str], _body: bytes) -> Told:
        return _clock_told(self._emulator)

    def _set_clock(self, _rest: str, _query: Mapping[str, str], body: bytes) -> Told:
        order, clock = _read(body, ClockOrder), self._emulator.clock
        if order.set is not None:
            clock.set(order.set)
        if order.advance_s:
            clock.advance(seconds=order.advance_s)
        if order.speed is not None:
            clock.run(order.speed)
        return _clock_told(self._emulator)

    def _faults(self, _rest: str, _query: Mapping[str, str], _body: bytes) -> Told:
        return {"faults": [armed.told() for armed in self._emulator.faults]}

    def _arm(self, _rest: str, _query: Mapping[str, str], body: bytes) -> Told:
        return self._emulator.faults.arm_told(_read(body, dict[str, Any])).told()

    def _disarm(self, number: str, query: Mapping[str, str], body: bytes) -> Told:
        if not number:
            self._emulator.faults.clear()
        else:
            found = [armed for armed in self._emulator.faults if str(armed.number) == number]
            if not found:
                raise NotFound(f"no fault has the number {number}")
            found[0].disarm()
        return self._faults("", query, body)

    def _journal(self, _rest: str, query: Mapping[str, str], _body: bytes) -> Told:
        operation, limit = query.get("operation", ""), query.get("limit", "100")
        if not limit.isdigit():
            raise ConfigurationError(f"limit {limit!r}: use a number")
        found = [e for e in self._emulator.requests if operation in ("", e.operation)]
        return {"requests": [entry_told(entry) for entry in found[-int(limit) or None :]]}

    def _clear_journal(self, _rest: str, _query: Mapping[str, str], _body: bytes) -> Told:
        self._emulator.requests.clear()
        return {"requests": []}


def entry_told(entry: Entry) -> Told:
    """An exchange in plain values."""
    return {
        "number": entry.number,
        "at": entry.at,
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "operation": entry.operation,
        "account": entry.account,
        "request_headers": entry.request_headers,
        "request_body": _text(entry.request_body),
        "status": entry.status or None,
        "headers": entry.headers,
        "body": _text(entry.body),
        "change": entry.change,
        "replayed": entry.replayed,
        "verdicts": [_judged(judged) for judged in entry.verdicts],
        "rule": entry.rule,
        "why": entry.why,
        "remarks": [{"code": remark.code, "text": remark.text} for remark in entry.remarks],
        "faults": list(entry.faults),
        "line": str(entry),
    }


def _judged(judged: Judged) -> Told:
    return {
        "item": judged.item,
        "outcome": judged.outcome.word,
        "rule": judged.rule,
        "why": judged.why,
    }


def _clock_told(emulator: Emulator) -> Told:
    return {"now": emulator.clock.now, "speed": emulator.clock.speed}


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _error(message: str) -> Told:
    return {"errorCode": "EMULATOR", "errorMessage": message}


def _read(body: bytes, kind: Any) -> Any:
    return msgspec.json.decode(body or b"{}", type=kind)
