"""Every operation is one visible row of `ROUTES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fotapool.api import family, life, pool
from fotapool.api.exchange import Call, Found, Pending, Reply
from fotapool.api.licenses import change, status
from fotapool.api.logins import issue_token, log_in, log_out, revoke_token
from fotapool.model import Listing, Role, Verb
from fotapool.wire import v1, v2, v3

if TYPE_CHECKING:
    from fotapool.api import Api

Operation = Callable[["Api", Call], Reply | Pending]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method and path, what it does, and for whom.

    `role` is None where no account is named. `successor` is the path of the operation to use
    instead, where this one is deprecated. `reads` marks what only reads though it is no GET,
    `looks` what reads the database before it writes.
    """

    method: str
    path: str
    operation: Operation
    role: Role | None = None
    successor: str = ""
    reads: bool = False
    looks: bool = False
    pattern: re.Pattern[str] = field(init=False)
    own: bool = field(init=False)
    """Whether this is one of our own operations, which need no session (R14)."""
    dry: bool = field(init=False)
    """Whether this only tells what a write would come to."""
    writes: bool = field(init=False)
    """Whether this changes a pool, and so waits for a commit."""

    def __post_init__(self) -> None:
        # An empty account name is a wrong name, not an unknown path; an empty place is the start.
        pattern = re.sub(r"\{(account|cursor|index)\}", r"(?P<\1>[^/]*)", self.path)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        dry = self.path.startswith(POOL + "/dry-run/")
        only_reads = self.method == "GET" or self.reads or dry
        found = {
            "pattern": re.compile(pattern),
            "own": self.path.startswith(POOL),
            "dry": dry,
            "writes": self.role is not None and not only_reads,
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)


class RouteTable:
    """Finds the row of a request: the first whose method and path fit.

    Rows are kept by method, number of segments and last segment, so that few are tried.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        routes = tuple(routes)
        self._rows = {
            (method, depth, last): tuple(
                route
                for route in routes
                if route.method == method
                and route.path.count("/") == depth
                and _last_segment(route.path) in (last, None)
            )
            for method, depth, last in map(_place, routes)
        }

    def find(self, method: str, path: str) -> Found | None:
        """The row, and what the path names."""
        depth = path.count("/")
        rows = self._rows.get((method, depth, path.rpartition("/")[2]))
        for route in rows or self._rows.get((method, depth, None), ()):
            match = route.pattern.fullmatch(path)
            if match is not None:
                return Found(route, match.groupdict())
        return None


def _place(route: Route) -> tuple[str, int, str | None]:
    return route.method, route.path.count("/"), _last_segment(route.path)


def _last_segment(path: str) -> str | None:
    """The last segment of a path, or None where any may stand."""
    last = path.rpartition("/")[2]
    return None if last.startswith("{") else last


POOL = "/api/fotapool/v1/accounts/{account}"
V1 = "/api/fota/v1/licenses/{account}"
V2 = "/api/fota/v2/licenses/{account}"
V3 = "/api/fota/v3/licenses/{account}"
# As pages of the vendor print them.
V1_DOUBLE = "/api/fota/v1//licenses/{account}"
V3_FIRMWARE = "/api/fota/v3/firmware/licenses/{account}"

FAMILY = "/api/fota/v{}/{}/{{account}}"
UPGRADES = "/api/fota/v1/upgrades"

_READ, _WRITE, _MANAGE = Role.VIEWER, Role.OPERATOR, Role.ADMIN
_ASSIGN, _REMOVE = Verb.ASSIGN, Verb.REMOVE
_LIST, _REPLACE, _CLEAR = (POOL + "/candidates" + below for below in ("", "/replace", "/clear"))

ROUTES: Sequence[Route] = (
    Route("GET", V3, status(v3), _READ),
    Route("GET", V3 + "/index/{cursor}", status(v3), _READ),
    Route("POST", V3 + "/assign", change(v3, _ASSIGN), _WRITE),
    Route("POST", V3 + "/remove", change(v3, _REMOVE), _WRITE),
    Route("POST", V3_FIRMWARE + "/assign", change(v3, _ASSIGN), _WRITE),
    Route("POST", V3_FIRMWARE + "/remove", change(v3, _REMOVE), _WRITE),
    Route("GET", V2, status(v2), _READ),
    Route("GET", V2 + "/index/{cursor}", status(v2), _READ),
    Route("POST", V2 + "/assign", change(v2, _ASSIGN), _WRITE, V3 + "/assign"),
    Route("POST", V2 + "/remove", change(v2, _REMOVE), _WRITE, V3 + "/remove"),
    Route("GET", V1, status(v1), _READ),
    Route("GET", V1 + "/index/{cursor}", status(v1), _READ),
    Route("POST", V1 + "/assign", change(v1, _ASSIGN), _WRITE, V3 + "/assign"),
    Route("POST", V1 + "/remove", change(v1, _REMOVE), _WRITE, V3 + "/remove"),
    Route("GET", V1_DOUBLE, status(v1), _READ),
    Route("GET", V1_DOUBLE + "/index/{cursor}", status(v1), _READ),
    Route("POST", V1_DOUBLE + "/assign", change(v1, _ASSIGN), _WRITE, V3 + "/assign"),
    Route("POST", V1_DOUBLE + "/remove", change(v1, _REMOVE), _WRITE, V3 + "/remove"),
    Route("GET", V1 + "/cancel/index/{index}", family.show_list(v1), _READ, _LIST),
    Route("POST", V1 + "/cancel", family.create_list(v1), _WRITE, _REPLACE),
    Route("DELETE", V1 + "/cancel", family.delete_list(v1), _WRITE, _CLEAR),
    Route("GET", V2 + "/cancel", family.show_list(v2), _READ, _LIST),
    Route("GET", V2 + "/cancel/index/{index}", family.show_list(v2), _READ, _LIST),
    Route("POST", V2 + "/cancel", family.create_list(v2), _WRITE, _REPLACE),
    Route("DELETE", V2 + "/cancel", family.delete_list(v2), _WRITE, _CLEAR),
    Route("GET", FAMILY.format(1, "subscriptions"), family.subscription(v1), _READ),
    Route("GET", FAMILY.format(2, "subscriptions"), family.subscription(v2), _READ),
    Route("GET", FAMILY.format(3, "subscriptions"), family.subscription(v3), _READ),
    Route("GET", FAMILY.format(1, "devices") + "/index/{cursor}", family.device_list(v1), _READ),
    Route("GET", FAMILY.format(2, "devices"), family.device_list(v2, "distributionType"), _READ),
    Route("GET", FAMILY.format(3, "devices"), family.device_list(v3, "protocol"), _READ),
    Route("POST", FAMILY.format(3, "devices"), family.named_devices, _READ, reads=True),
    Route("POST", UPGRADES, family.create_upgrade, _WRITE),
    Route("GET", UPGRADES + "/{account}/upgrade/{upgrade}", family.show_upgrade, _READ),
    Route(
        "PUT",
        UPGRADES + "/{account}/upgrade/{upgrade}",
        family.change_upgrade,
        _WRITE,
        looks=True,
    ),
    Route("DELETE", UPGRADES + "/{account}/upgrade/{upgrade}", family.cancel_upgrade, _WRITE),
    Route("GET", POOL, life.account, _READ),
    Route("GET", POOL + "/status", pool.status, _READ),
    Route("POST", POOL + "/assign", pool.change(_ASSIGN), _WRITE),
    Route("POST", POOL + "/remove", pool.change(_REMOVE), _WRITE),
    Route("POST", POOL + "/dry-run/assign", pool.dry_run(_ASSIGN), _WRITE),
    Route("POST", POOL + "/dry-run/remove", pool.dry_run(_REMOVE), _WRITE),
    Route("POST", POOL + "/resize", life.resize, _MANAGE),
    Route("POST", POOL + "/dry-run/resize", life.preview_resize, _MANAGE),
    Route("POST", POOL + "/undo", life.undo, _WRITE, looks=True),
    Route("POST", POOL + "/dry-run/undo", life.preview_undo, _WRITE),
    Route("GET", POOL + "/candidates", life.candidates, _READ),
    Route("POST", POOL + "/candidates/replace", life.edit_candidates(Listing.REPLACE), _WRITE),
    Route("POST", POOL + "/candidates/append", life.edit_candidates(Listing.APPEND), _WRITE),
    Route("POST", POOL + "/candidates/clear", life.edit_candidates(Listing.CLEAR), _WRITE),
    Route("GET", POOL + "/devices", life.devices, _READ),
    Route("POST", POOL + "/devices/register", pool.change(Verb.REGISTER), _MANAGE),
    Route("POST", POOL + "/devices/unregister", pool.change(Verb.UNREGISTER), _MANAGE),
    Route("POST", POOL + "/upgrades/schedule", pool.change(Verb.SCHEDULE), _WRITE),
    Route("POST", POOL + "/upgrades/start", pool.change(Verb.START), _WRITE),
    Route("POST", POOL + "/upgrades/finish", pool.change(Verb.FINISH), _WRITE),
    Route("POST", POOL + "/upgrades/fail", pool.change(Verb.FAIL), _WRITE),
    Route("POST", POOL + "/upgrades/cancel", pool.change(Verb.CANCEL), _WRITE),
    Route("GET", POOL + "/changes", pool.changes, _READ),
    Route("GET", POOL + "/changes/{sequence}", pool.one_change, _READ),
    Route("GET", POOL + "/devices/{imei}/history", pool.device_history, _READ),
    Route("GET", POOL + "/as-of", pool.as_of, _READ),
    Route("GET", POOL + "/refusals", pool.refusals, _READ),
    Route("GET", POOL + "/clock", pool.clock, _READ),
    Route("POST", "/api/ts/v1/oauth2/token", issue_token),
    Route("POST", "/api/ts/v1/oauth2/revoke", revoke_token),
    Route("POST", "/api/m2m/v1/session/login", log_in),
    Route("POST", "/api/m2m/v1/session/logout", log_out),
)
