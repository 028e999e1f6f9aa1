"""What a fault is: something that goes wrong with one request, before or after its carrying out."""

from __future__ import annotations

from typing import ClassVar, Protocol

import msgspec

from fotapool.model import Outcome
from fotapool.testing.exchange import Answer, Asked


class Hands(Protocol):
    """What a fault may do to the emulator behind the request."""

    def now_ms(self) -> int: ...
    def shrink(self, asked: Asked, free: int) -> None:
        """Leave this many licenses free, by a resize of the pool."""
        ...

    def refuse(self, asked: Asked, verdicts: dict[int, Outcome], reason: str) -> None:
        """Have the ledger refuse items of the request's list, by their place in it."""
        ...

    def end_session(self, asked: Asked) -> None: ...
    def revoke_token(self, asked: Asked) -> None: ...
    def page_before(self, asked: Asked) -> bytes | None:
        """The page that came before the one asked for, if one did."""
        ...


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong with one request."""

    on_the_wire: ClassVar[str]
    good_client: ClassVar[str]
    usually: ClassVar[dict[str, object]] = {}
    """For which requests it is armed where nothing else is said, if not as all others."""

    @classmethod
    def word(cls) -> str:
        """The name by which it is armed: `answer_lost`."""
        return str(cls.__struct_config__.tag)

    def applies(self, asked: Asked, hands: Hands) -> bool:
        """Whether it can happen to this request at all."""
        return True

    def before(self, asked: Asked, hands: Hands) -> Answer | None:
        """What happens before the request is carried out; an answer comes in its stead."""

    def lands(self, asked: Asked, answer: Answer) -> bool:
        """Whether it came to anything, now that there is an answer; else it waits for another.

        So that a token that has just died takes no fault away from the request that follows.
        """
        return True

    def after(self, asked: Asked, answer: Answer, hands: Hands) -> Answer:
        """What becomes of the answer."""
        return answer
