"""Where a client sends its calls and how patient it is: for all of them, or for one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TypedDict, TypeVar

from fotapool.client.watching import AfterRequest, BeforeRequest
from fotapool.model import ConfigurationError

T = TypeVar("T")

_PLACE = re.compile(r"([\w.~%-]+|\[[0-9a-fA-F:.%]+\])(:\d{1,5})?(/[^?#]*)?")
"""A host that every library reads as the same, a port if need be, and where it is mounted."""

PRODUCTION = "https://thingspace.verizon.com"
TIMEOUT_S = 30.0
MAX_RETRIES = 2
RETRY_BUDGET_S = 120.0

ENDLESS_S = 1e8
"""Three years: as long as a wait can be that every clock and socket can still count."""


class CallOptions(TypedDict, total=False):
    """What one call, or a client of `with_options`, has otherwise than its client.

    What is not given, or None, stays as it is (docs/reference/client.md).
    """

    timeout_s: float | None
    deadline_s: float | None
    max_retries: int | None
    retry_budget_s: float | None
    before_request: BeforeRequest | None
    after_request: AfterRequest | None


@dataclass(frozen=True, slots=True)
class Options:
    """Where a client sends its calls, how long it waits, how often and how long it tries again.

    Raises ConfigurationError for what makes no sense.
    """

    base_url: str
    timeout_s: float = TIMEOUT_S
    deadline_s: float = math.inf
    max_retries: int = MAX_RETRIES
    retry_budget_s: float = RETRY_BUDGET_S

    def __post_init__(self) -> None:
        for name in ("timeout_s", "deadline_s"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and value > 0):
                raise ConfigurationError(f"{name} {value!r}: use a number of seconds above 0")
        for name in ("max_retries", "retry_budget_s"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and value >= 0):
                raise ConfigurationError(f"{name} {value!r}: use a number from 0")
        scheme, _, rest = self.origin.partition("://")
        if "@" in rest:
            raise ConfigurationError("base_url: it holds a login; give that in its own arguments")
        if scheme not in ("http", "https") or not _PLACE.fullmatch(rest):
            raise ConfigurationError(
                f"base_url {self.base_url!r}: use an origin such as {PRODUCTION}"
            )

    @property
    def attempt_s(self) -> float:
        """How long an attempt may take."""
        return min(self.timeout_s, ENDLESS_S)

    @property
    def origin(self) -> str:
        return self.base_url.rstrip("/").removesuffix("/api").rstrip("/")


def changed(before: T, given: Mapping[str, object]) -> T:
    """A dataclass with those of these values that are its own and are given."""
    own = (field.name for field in fields(before))  # type: ignore[arg-type]
    told = {name: given[name] for name in own if given.get(name) is not None}
    return replace(before, **told)  # type: ignore[type-var]


def check_names(given: Mapping[str, object]) -> None:
    """Raises TypeError for options that there are not: a checker sees them, Python alone not."""
    if unknown := given.keys() - CallOptions.__annotations__.keys():
        raise TypeError(
            f"no option of a call: {', '.join(sorted(unknown))}. There are "
            f"{', '.join(CallOptions.__annotations__)}"
        )
