"""The emulator's clock: every timestamp, token, session and idempotency window obeys it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fotapool.model import ConfigurationError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class EmulatorClock:
    """Stands still, or runs at a speed, until it is told otherwise. Thread-safe.

    Called, it gives milliseconds since 1970-01-01 UTC, like every clock of fotapool.
    """

    def __init__(
        self,
        start: datetime,
        *,
        speed: float = 0.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._monotonic_s = monotonic_s
        self._base_ms = milliseconds(start)
        self._since_s = monotonic_s()
        self._speed = speed

    def __call__(self) -> int:
        with self._lock:
            return self._now_ms()

    def __repr__(self) -> str:
        return f"EmulatorClock({self.now.isoformat()}, speed={self._speed:g})"

    @property
    def now(self) -> datetime:
        """The moment, in UTC."""
        return moment(self())

    @property
    def speed(self) -> float:
        """Seconds that pass here in one real second; 0 is standing still."""
        return self._speed

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> None:
        """Let time pass at once; a negative amount sets the clock back."""
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        with self._lock:
            self._base_ms += by // _MILLISECOND

    def set(self, to: datetime | str) -> None:
        """Make it this moment; a text is RFC 3339, no zone is UTC. Raises ConfigurationError."""
        wanted_ms = milliseconds(to)
        with self._lock:
            self._base_ms, self._since_s = wanted_ms, self._monotonic_s()

    def freeze(self) -> None:
        """Stand still."""
        self.run(0)

    def run(self, speed: float = 1.0) -> None:
        """Go on from now, `speed` seconds in a real second. Raises ConfigurationError."""
        if not 0 <= speed < float("inf"):
            raise ConfigurationError(f"clock speed {speed:g}: use a number from 0")
        with self._lock:
            self._base_ms, self._since_s = self._now_ms(), self._monotonic_s()
            self._speed = speed

    def _now_ms(self) -> int:
        return self._base_ms + int((self._monotonic_s() - self._since_s) * 1000 * self._speed)


def milliseconds(at: datetime | str) -> int:
    """A moment as fotapool counts it. Raises ConfigurationError for a text that is none."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError as error:
            raise ConfigurationError(
                f"moment {at!r}: write it like 2026-03-01T12:00:00Z"
            ) from error
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MILLISECOND


def moment(at_ms: int) -> datetime:
    return _EPOCH + at_ms * _MILLISECOND
