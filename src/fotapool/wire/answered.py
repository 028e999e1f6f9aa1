"""An answer as it was received, and what results that were made of one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fotapool.model import NotJson

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What reading bytes as JSON raises: one nested deep enough exhausts the stack, not the grammar."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as received. Header names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced, never raised."""
        return self.body.decode("utf-8", "replace")

    @property
    def request_id(self) -> str | None:
        """The server's id for the request, to quote when asking about it."""
        return self.headers.get("x-request-id")

    def json(self) -> Any:
        """The body decoded, with members that no model has. Raises NotJson."""
        try:
            return msgspec.json.decode(self.body)
        except UNREADABLE as error:
            raise NotJson(f"the body of {len(self.body)} bytes is no JSON ({error})") from error


NO_ANSWER = Response(0, {}, b"")
"""The answer of what was made by hand."""


@dataclass(frozen=True, kw_only=True)
class WithResponse:
    """A result with the answer that it was read from: the first one, where it took several.

    Two results are equal whatever answers they came from. One made by hand has an empty answer,
    its `status_code` 0.
    """

    __slots__ = ()  # a result may have another base, whose slots are in the way of others

    response: Response = field(default=NO_ANSWER, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Answered(WithResponse):
    """... that has no other `request_id`, as a change has: that of the request which made it."""

    __slots__ = ()

    @property
    def request_id(self) -> str | None:
        """The server's id for the request, to quote when asking about it."""
        return self.response.request_id


def keep_answer(result: object, response: Response) -> None:
    """Let a result that was just read have the answer it was read from."""
    if isinstance(result, WithResponse):
        # Frozen; yet nobody has seen it, and one place is better than every reader.
        object.__setattr__(result, "response", response)
