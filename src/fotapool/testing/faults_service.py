"""What goes wrong in the service: in the pool, and with the tokens.

The ledger and the logins themselves say no, so that whatever is read afterwards agrees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import msgspec

from fotapool.model import OUTCOMES, ConfigurationError, Outcome, Verb
from fotapool.testing.exchange import Answer, Asked, without_key
from fotapool.testing.fault import Fault, Hands

WRITES = frozenset({"assign", "remove"})


class PoolExhausted(Fault, frozen=True, tag_field="fault", tag="pool_exhausted"):
    """`after` licenses are left when the list arrives."""

    on_the_wire = (
        "the first `after` devices of the list that need one get a license, the rest are refused "
        "(`No available license`) in the same answer; the pool has been resized to what it then "
        "holds"
    )
    good_client = "reads every verdict, and reports the refused devices instead of sending again"

    after_: int = msgspec.field(name="after", default=0)

    def __post_init__(self) -> None:
        if self.after_ < 0:
            raise ConfigurationError("pool_exhausted: after must be 0 or more")

    def applies(self, asked: Asked, hands: Hands) -> bool:
        return asked.operation == "assign"

    def before(self, asked: Asked, hands: Hands) -> None:
        hands.shrink(asked, self.after_)

    def lands(self, asked: Asked, answer: Answer) -> bool:
        return asked.change is not None


class DevicesRefused(Fault, frozen=True, tag_field="fault", tag="devices_refused"):
    """Named devices, or every nth of the list, are refused.

    `outcome` is the verdict that the ledger gives; without it the first that fits the verb.
    `reason` replaces the text that goes with it.
    """

    on_the_wire = (
        "the devices of `imeis`, or every `every`th of the list, are refused in a 200 with "
        "`outcome` (`unknown_device` for assign, `upgrade_running` for remove) or with the text "
        "of `reason`; the others are carried out"
    )
    good_client = "takes a 200 for no success: reads the verdict of each device, by its IMEI"

    imeis: tuple[str, ...] = ()
    every: int = 0
    outcome: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.every < 0 or not (self.imeis or self.every):
            raise ConfigurationError(
                "devices_refused: say which, by imeis=[…] or every=N with N from 1"
            )
        if self.outcome and self.outcome not in REFUSED_OUTCOMES:
            raise ConfigurationError(
                f"devices_refused: outcome {self.outcome!r}: use one of "
                + ", ".join(sorted(REFUSED_OUTCOMES))
            )

    def applies(self, asked: Asked, hands: Hands) -> bool:
        return asked.operation in WRITES and bool(self._places(asked)) and self._fits(asked)

    def before(self, asked: Asked, hands: Hands) -> None:
        default = "unknown_device" if asked.operation == "assign" else "upgrade_running"
        outcome = Outcome[(self.outcome or default).upper()]
        hands.refuse(asked, dict.fromkeys(self._places(asked), outcome), self.reason)

    def lands(self, asked: Asked, answer: Answer) -> bool:
        return asked.change is not None

    def _fits(self, asked: Asked) -> bool:
        return not self.outcome or Outcome[self.outcome.upper()] in _refusing(asked.operation)

    def _places(self, asked: Asked) -> list[int]:
        return [
            at
            for at, item in enumerate(asked.items)
            if item in self.imeis or (self.every and (at + 1) % self.every == 0)
        ]


def _refusing(operation: str) -> set[Outcome]:
    return {outcome for outcome in OUTCOMES[Verb[operation.upper()]] if not outcome.ok}


REFUSED_OUTCOMES = frozenset(
    outcome.word for operation in WRITES for outcome in _refusing(operation)
)


# --- with the tokens ----------------------------------------------------------------------------


class SessionExpired(Fault, frozen=True, tag_field="fault", tag="session_expired"):
    """The session ends before the request; `skip=1` lets it end between two pages."""

    on_the_wire = (
        "400 with `UnifiedWebService.REQUEST_FAILED.SessionToken.Expired`, for this and every "
        "later request of the session"
    )
    good_client = "logs in again, once, and goes on with the page it was at"

    def applies(self, asked: Asked, hands: Hands) -> bool:
        return bool(asked.request.session) and asked.call is not None and not asked.call.route.own

    def before(self, asked: Asked, hands: Hands) -> None:
        hands.end_session(asked)


class TokenRevoked(Fault, frozen=True, tag_field="fault", tag="token_revoked"):
    """The bearer token is revoked before the request."""

    on_the_wire = "401 with a `fault` 900901, for this and every later request of the token"
    good_client = "fetches another token, once, and sends the request again"

    def applies(self, asked: Asked, hands: Hands) -> bool:
        return asked.request.bearer is not None

    def before(self, asked: Asked, hands: Hands) -> None:
        hands.revoke_token(asked)


# --- as another service -------------------------------------------------------------------------


class KeysIgnored(Fault, frozen=True, tag_field="fault", tag="keys_ignored"):
    """The service is like the vendor's: it keeps no idempotency keys, and names no changes."""

    on_the_wire = (
        "`Idempotency-Key` is ignored; no `Fotapool-Idempotency`, `Fotapool-Change`, "
        "`Fotapool-Sequence`; for every request, token and login calls too, unless something else "
        "is said"
    )
    good_client = (
        "sends no write a second time that may have been done; reads what the devices hold, and "
        "sends what is missing"
    )
    usually: ClassVar[dict[str, object]] = {"operation": "any", "times": None}

    def before(self, asked: Asked, hands: Hands) -> None:
        without_key(asked)

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        headers = {k: v for k, v in answer.headers.items() if k not in _HEADERS_OF_OURS}
        return replace(answer, headers=headers)


_HEADERS_OF_OURS = frozenset(
    {"fotapool-idempotency", "fotapool-change", "fotapool-sequence", "idempotency-replayed"}
)
