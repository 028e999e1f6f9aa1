"""A typed program of a user: what checkers see of both clients.

`tests/test_packaging.py` lets mypy and pyright check it against the wheel, strictly, and runs it.
Each `type: ignore` stands where a mistake must be found: one that is not is told as unused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import assert_type

from fotapool import (
    AccountStatus,
    AnswerError,
    ApiError,
    AsyncClient,
    AsyncListing,
    ChangeSummary,
    Client,
    ConnectionFailed,
    DryRun,
    Holding,
    HttpRequest,
    LicenseChange,
    LicensedDevice,
    LicensesAssignedRemovedRequest,
    LicenseSummary,
    Listing,
    Outcome,
    Page,
    PlanChange,
    PlannedUpgrade,
    PoolChange,
    PoolStatus,
    Refusals,
    Response,
    Transport,
    Verdict,
)


def blocking(client: Client, account: str, imeis: list[str]) -> int:
    change = client.licenses.assign(account, imeis)
    assert_type(change, LicenseChange)
    assert_type(change.verdicts, tuple[Verdict, ...])
    assert_type(change.verdicts[0].outcome, Outcome)
    assert_type(change.verdicts[0].ok, bool | None)
    assert_type(change.change, int | None)

    status = client.licenses.status(account)
    assert_type(status, AccountStatus)
    assert_type(status.devices[0].assigned_at, datetime | None)
    summary = client.licenses.summarize_fota_licenses_assignment(account)
    assert_type(summary, LicenseSummary)

    devices = client.licenses.devices(account)
    assert_type(devices, Listing[LicensedDevice])
    for page in devices.pages():
        assert_type(page, Page[LicensedDevice])
        assert_type(page.cursor, str | None)
    for device in devices:
        assert_type(device.imei, str)

    made = client.upgrades.plan(
        account,
        imeis,
        firmware_name="new",
        firmware_to="2",
        starts_on=date(2026, 2, 1),
        ends_on=date(2026, 2, 2),
    )
    assert_type(made, PlanChange)
    planned = client.upgrades.planned(account, made.upgrade_id)
    assert_type(planned, PlannedUpgrade)
    assert_type(planned.starts_on, date | None)
    client.log_out()

    plan = client.pool.dry_run_remove(account, imeis)
    assert_type(plan, DryRun)
    assert_type(client.pool.device_history(account, imeis[0]), Listing[Holding])
    assert_type(client.pool.changes(account), Listing[ChangeSummary])
    assert_type(client.pool.refusals(account), Refusals)
    removed = client.pool.remove(account, imeis, if_sequence=plan.sequence)
    assert_type(removed, PoolChange)
    assert_type(removed.outcomes, Mapping[str, int])
    return removed.outcomes["removed"]


async def coroutines(client: AsyncClient, account: str, imeis: list[str]) -> int:
    async with client as same:
        assert_type(same, AsyncClient)
        change = await same.licenses.assign(account, imeis)
        assert_type(change, LicenseChange)
        devices = same.licenses.devices(account)
        assert_type(devices, AsyncListing[LicensedDevice])
        async for page in devices.pages():
            assert_type(page, Page[LicensedDevice])
        found = [device.imei async for device in devices]
        assert_type(found, list[str])
        assert_type(await same.pool.status(account), PoolStatus)
        removed = await same.pool.remove(account, imeis)
        assert_type(removed, PoolChange)
        return removed.outcomes["removed"]


def failing(error: ApiError) -> str:
    if isinstance(error, AnswerError):
        assert_type(error.response, Response)
        assert_type(error.error_code, str | None)
        assert_type(error.retry_after_s, float | None)
        return error.reason
    return "sent" if isinstance(error, ConnectionFailed) and error.sent else "not sent"


def watched(transport: Transport) -> Client:
    def before(request: HttpRequest) -> None:
        assert_type(request.headers, Mapping[str, str])

    def after(request: HttpRequest, answer: Response | ConnectionFailed) -> None:
        pass

    hooks: tuple[Callable[[HttpRequest], object], float] = before, 1.0
    with Client(transport=transport, before_request=hooks[0], after_request=after) as client:
        assert_type(client, Client)
        return client.with_options(timeout_s=hooks[1])


def mistaken(client: Client, asynchronous: AsyncClient) -> None:
    client.licenses.assign(5, ["990003425730524"])  # type: ignore[arg-type]
    client.licenses.assign("a", [990003425730524])  # type: ignore[list-item]
    client.licenses.assign_fota_licenses_to_devices_1("a", "body")  # type: ignore[arg-type]
    client.licenses.assigned("a")  # type: ignore[attr-defined]
    client.licenses.status("a").used = 5  # type: ignore[misc]
    LicensesAssignedRemovedRequest(devices=["1"])  # type: ignore[call-arg]
    Client(timeout=5)  # type: ignore[call-arg]
    asynchronous.licenses.devices("a").imei  # type: ignore[attr-defined]  # noqa: B018
