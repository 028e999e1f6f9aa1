# Made of aio/size.py by scripts/uncolour: change that one.
"""The part of `client.pool` about its size: resize, undo, the candidate list."""

from __future__ import annotations

from collections.abc import Iterable

from fotapool.client.calls import making
from fotapool.client.own import OwnOperations
from fotapool.client.own_calls import account_of, get_call
from fotapool.client.paging import Listing
from fotapool.client.results import DryRun, PoolAccount, PoolChange
from fotapool.wire import pool_answers as answers
from fotapool.wire.pool_answers import write_member, write_nothing


class SizeOperations(OwnOperations):
    """How many licenses, who loses one first, and taking changes back."""

    def account(self, account: str) -> PoolAccount:
        """What an account is, and how it stands. Raises ApiError."""
        call = get_call(account, "", {}, answers.Account)
        return self._performer.perform(making(account_of, call))

    def resize(
        self,
        account: str,
        total: int,
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
    ) -> PoolChange:
        """Set the number of licenses (role admin). The verdicts name who loses one, and why.

        The first 1,000 of them; with `has_more`, `change` gives them all. Raises ApiError;
        PreconditionFailed where the account has moved on from `if_sequence`, EventOnly where it
        pays per event.
        """
        body = write_member("total", total)
        return self._change(account, "resize", body, if_sequence, idempotency_key)

    def dry_run_resize(self, account: str, total: int) -> DryRun:
        """Who would lose a license, all of them. Nothing is changed. Raises ApiError.

        Of very many each 1,000 is a request, and each as costly as the first; should the account
        move on between two, PreconditionFailed is raised.
        """
        return self._dry_run(account, "resize", write_member("total", total))

    def undo(
        self,
        account: str,
        change: int,
        *,
        if_sequence: int | None = None,
        idempotency_key: str | None = None,
    ) -> PoolChange:
        """Take back what still stands of an assign, remove, resize or undo.

        A verdict with `by` names the later change that altered the device. Verdicts as for
        `resize`. Raises ApiError; Conflict where the change cannot be undone, or no longer.
        """
        body = write_member("change", change)
        return self._change(account, "undo", body, if_sequence, idempotency_key)

    def dry_run_undo(self, account: str, change: int) -> DryRun:
        """What `undo` would come to now. Nothing is changed. Raises ApiError."""
        return self._dry_run(account, "undo", write_member("change", change))

    def candidates(self, account: str) -> Listing[str]:
        """Who loses a license first when the pool shrinks, in order. Raises ApiError."""
        return self._listing(
            account,
            "candidates",
            {},
            answers.Candidates,
            lambda page: (item.imei for item in page.items),
        )

    def replace_candidates(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Make these the candidate list. `candidates` of the answer is its length.

        Raises ApiError.
        """
        return self._change_devices(account, "candidates/replace", imeis, None, idempotency_key)

    def append_candidates(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> PoolChange:
        """Put these at the end of the candidate list. Raises ApiError."""
        return self._change_devices(account, "candidates/append", imeis, None, idempotency_key)

    def clear_candidates(self, account: str, *, idempotency_key: str | None = None) -> PoolChange:
        """Empty the candidate list. Raises ApiError."""
        return self._change(account, "candidates/clear", write_nothing(), None, idempotency_key)
