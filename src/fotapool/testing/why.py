"""Why a request was refused, in the terms of what was asked, and by which rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from fotapool.auth.secrets import digest
from fotapool.model import OUTCOMES, Change, Outcome, Refusal, Verb
from fotapool.store import SqliteStore
from fotapool.testing.clock import moment
from fotapool.testing.exchange import Answer, Asked
from fotapool.testing.remarks import nearest, shape
from fotapool.testing.scenario import Scenario
from fotapool.wire.errors import ERRORS, read_error

_RULES: Mapping[str, tuple[str, ...]] = {
    "R1": ("BODY_UNREADABLE", "DEVICE_LIST_EMPTY"),
    "R3": ("ACCOUNT_INACTIVE",),
    "R4": ("DEVICE_ID_INVALID", "CURSOR_UNKNOWN", "INDEX_TOO_HIGH", "INDEX_INVALID"),
    "R6": ("UPGRADE_ID_INVALID", "UPGRADE_UNKNOWN", "START_DATE_INVALID"),
    "R7": ("EVENT_ONLY", "LICENSES_LEFT"),
    "R8": ("LIST_TYPE_INVALID", "DEVICE_NOT_REGISTERED"),
    "R10": ("AS_OF_LATER", "AS_OF_BEFORE"),
    "R11": ("KEY_INVALID", "KEY_REUSED"),
    "R12": ("UNDO_IMPOSSIBLE", "RESIZED_SINCE", "CHANGE_UNKNOWN"),
    "R13": ("PRECONDITION_INVALID", "PRECONDITION_FAILED"),
    "R14": (
        "BEARER_MISSING",
        "BEARER_INVALID",
        "CLIENT_MISSING",
        "CLIENT_INVALID",
        "GRANT_TYPE_MISSING",
        "GRANT_TYPE_UNSUPPORTED",
        "SESSION_INVALID",
        "SESSION_EXPIRED",
        "LOGIN_REFUSED",
        "ACCOUNT_NAME_INVALID",
        "ACCOUNT_NOT_FOUND",
        "ROLE_MISSING",
    ),
    "R15": ("DEVICE_LIST_TOO_LONG", "BODY_TOO_LARGE"),
    "R17": ("FIELD_UNKNOWN", "PARAMETER_INVALID", "PLACE_INVALID", "DEVICE_UNKNOWN"),
}
_RULE_OF = {Refusal[name]: rule for rule, names in _RULES.items() for name in names}
_SECTION = {
    Verb.ASSIGN: "R2",
    Verb.REMOVE: "R3",
    Verb.REGISTER: "R5",
    Verb.UNREGISTER: "R5",
    Verb.RESIZE: "R7",
    Verb.CANDIDATES: "R8",
    Verb.UNDO: "R12",
}


def rule_of(verb: Verb, outcome: Outcome) -> str:
    """The rule behind a verdict, as docs/reference/protocol.md numbers it: `R2.4`."""
    section = _SECTION.get(verb, "R6")
    if verb in (Verb.ASSIGN, Verb.REMOVE):
        return f"{section}.{OUTCOMES[verb].index(outcome) + 1}"
    return section


class Witness:
    """Knows the scenario and the books, and so why something was refused."""

    def __init__(self, scenario: Scenario, store: SqliteStore) -> None:
        self._scenario = scenario
        self._store = store
        self._tellers: dict[Refusal, Callable[[Asked], str]] = {
            Refusal.PATH_UNKNOWN: nearest,
            Refusal.METHOD_UNKNOWN: nearest,
            Refusal.CURSOR_UNKNOWN: _cursor_unknown,
            Refusal.DEVICE_ID_INVALID: _cursor_malformed,
            Refusal.BODY_UNREADABLE: _unreadable,
            Refusal.DEVICE_LIST_EMPTY: _list_empty,
            Refusal.BEARER_MISSING: _bearer_missing,
            Refusal.CLIENT_MISSING: _bearer_missing,  # the same words on the wire
            Refusal.BEARER_INVALID: self._bearer_invalid,
            Refusal.SESSION_INVALID: self._session_invalid,
            Refusal.SESSION_EXPIRED: self._session_expired,
            Refusal.CLIENT_INVALID: self._client_invalid,
            Refusal.LOGIN_REFUSED: self._login_refused,
            Refusal.ACCOUNT_NOT_FOUND: self._account_not_found,
        }

    def refused(self, asked: Asked, answer: Answer) -> tuple[str, str]:
        """Rule and reason of an answer that refuses the whole request; empty for any other."""
        if answer.status < 400:
            return "", ""
        code, message, refusal = read_error(answer.status, answer.body)
        if asked.faults and refusal is None:
            return "", f"the fault {', '.join(asked.faults)}"
        if refusal is None:
            return "", f"{code}: {message}" if code else ""
        tell = self._tellers.get(refusal)
        told = tell(asked) if tell else f"{ERRORS[refusal].code}: {message}"
        return _RULE_OF.get(refusal, ""), told

    def verdict(self, item: str, outcome: Outcome, change: Change) -> str:
        """Why a device was refused."""
        account = change.account.name
        totals = change.totals
        return {
            Outcome.MALFORMED: shape(item),
            Outcome.UNKNOWN_DEVICE: f"{item} is not registered in {account}",
            Outcome.NO_FREE_LICENSE: f"{totals.used} of {totals.total} licenses are used",
            Outcome.NOT_LICENSED: f"{item} holds no license of {account}",
            Outcome.UPGRADE_RUNNING: f"an upgrade of {item} is running",
            Outcome.UPGRADED: f"the firmware of {item} was upgraded since it got the license",
        }.get(outcome, outcome.word)

    def _bearer_invalid(self, asked: Asked) -> str:
        wanted = digest(asked.request.bearer or "")
        found = self._store.read(lambda directory: directory.find_token("hash", wanted))
        if found is None:
            return "the bearer token is none of this emulator's, or was revoked or replaced"
        return f"the bearer token ended at {moment(found.expires_at_ms).isoformat()}"

    def _session_invalid(self, asked: Asked) -> str:
        if not asked.request.session:
            return "the VZ-M2M-Token header is missing: log in first, its sessionToken goes there"
        wanted = digest(asked.request.session)
        if self._store.read(lambda directory: directory.find_session(wanted)) is None:
            return "the session token is none of this emulator's, or was logged out"
        return "the session belongs to another login than the bearer token"

    def _session_expired(self, asked: Asked) -> str:
        wanted = digest(asked.request.session)
        found = self._store.read(lambda directory: directory.find_session(wanted))
        used = "" if found is None else f", last used at {moment(found.used_at_ms).isoformat()}"
        return f"the session was idle for more than 20 minutes{used}"

    def _client_invalid(self, _asked: Asked) -> str:
        known = ", ".join(login.client_id for login in self._scenario.logins)
        return f"client id or secret is wrong; the scenario's client ids are: {known}"

    def _login_refused(self, _asked: Asked) -> str:
        known = ", ".join(login.username for login in self._scenario.logins)
        return (
            f"the scenario's usernames are: {known}; each belongs to the client id beside it, "
            "and five failures in a row lock it for 15 minutes"
        )

    def _account_not_found(self, asked: Asked) -> str:
        known = ", ".join(account.name for account in self._scenario.accounts)
        return f"account {asked.account!r} is not this login's; the scenario's are: {known}"


def _cursor_unknown(asked: Asked) -> str:
    cursor = _cursor(asked)
    if len(cursor) != 15:
        return f"lastSeenDeviceId was {cursor!r}; pages are keyed by IMEI"
    return f"lastSeenDeviceId was {cursor!r}, which never was a device of {asked.account}"


def _cursor_malformed(asked: Asked) -> str:
    return f"lastSeenDeviceId was {_cursor(asked)!r}, which is no number of at most 15 digits"


def _cursor(asked: Asked) -> str:
    call = asked.call
    return (call and (call.segment("cursor") or call.query("lastSeenDeviceId"))) or ""


def _unreadable(asked: Asked) -> str:
    try:
        told = msgspec.json.decode(asked.request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"the body is no JSON: {error}" if asked.request.body else "there is no body"
    if not isinstance(told, dict):
        return "the body is no JSON object"
    for name, value in told.items():
        if isinstance(value, list):
            for item in value:
                if not isinstance(item, str):
                    return f"{name} holds {item!r}; devices are texts, in quotes"
    return "a member of the body has another type than it must have"


def _list_empty(asked: Asked) -> str:
    try:
        told = msgspec.json.decode(asked.request.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = {}
    names = ", ".join(told) if isinstance(told, dict) and told else "nothing"
    return f"the body holds {names}; the devices are read from deviceList, which has none"


def _bearer_missing(asked: Asked) -> str:
    wanted = "Basic" if asked.operation in ("token", "revoke") else "Bearer"
    sent = asked.request.headers.get("authorization", "").split()
    if sent:
        return f"the Authorization header begins with {sent[0]!r}; here it is {wanted}"
    return f"the Authorization header is missing; here it is {wanted}"
