"""Every operation is one visible row of `ROUTES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fotapool.api import pool
from fotapool.api.exchange import Call, Pending, Reply
from fotapool.api.licenses import change, status
from fotapool.api.logins import issue_token, log_in, log_out, revoke_token
from fotapool.model import Role, Verb
from fotapool.wire import v1, v2, v3

if TYPE_CHECKING:
    from fotapool.api import Api

Operation = Callable[["Api", Call], Reply | Pending]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method and path, what it does, and for whom.

    `role` is None where no account is named. `successor` is the path of the operation to use
    instead, where this one is deprecated.
    """

    method: str
    path: str
    operation: Operation
    role: Role | None = None
    successor: str = ""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        # An empty account name is a wrong name, not an unknown path.
        pattern = self.path.replace("{account}", "(?P<account>[^/]*)")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        object.__setattr__(self, "pattern", re.compile(pattern))

    @property
    def own(self) -> bool:
        """Whether this is one of our own operations, which need no session (R14)."""
        return self.path.startswith(POOL)

    @property
    def writes(self) -> bool:
        """Whether this changes a pool, and so waits for a commit."""
        return self.method == "POST" and self.role is not None and not self.dry

    @property
    def dry(self) -> bool:
        """Whether this only tells what a write would come to."""
        return self.path.startswith(POOL + "/dry-run/")


POOL = "/api/fotapool/v1/accounts/{account}"
V1 = "/api/fota/v1/licenses/{account}"
V2 = "/api/fota/v2/licenses/{account}"
V3 = "/api/fota/v3/licenses/{account}"
# As pages of the vendor print them.
V1_DOUBLE = "/api/fota/v1//licenses/{account}"
V3_FIRMWARE = "/api/fota/v3/firmware/licenses/{account}"

_READ, _WRITE = Role.VIEWER, Role.OPERATOR
_ASSIGN, _REMOVE = Verb.ASSIGN, Verb.REMOVE

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
    Route("GET", POOL + "/status", pool.status, _READ),
    Route("POST", POOL + "/assign", pool.change(_ASSIGN), _WRITE),
    Route("POST", POOL + "/remove", pool.change(_REMOVE), _WRITE),
    Route("POST", POOL + "/dry-run/assign", pool.dry_run(_ASSIGN), _WRITE),
    Route("POST", POOL + "/dry-run/remove", pool.dry_run(_REMOVE), _WRITE),
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
