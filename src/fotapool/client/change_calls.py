"""The documented writes as calls, and how each is settled where its answer was lost.

Upstream knows no idempotency keys, so a write whose answer is lost is never sent again blindly.
What its devices hold is read, and what is not as was asked is sent: nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import structs

from fotapool.client.calls import (
    NO_CURSOR,
    Call,
    Settled,
    Steps,
    change_number,
    is_replayed,
    list_of_imeis,
    making,
)
from fotapool.client.documented_calls import (
    candidates_call,
    candidates_path,
    documented_get,
    licenses_path,
    named_call,
    reading,
    subscription_call,
)
from fotapool.client.errors import ApiError, Response
from fotapool.client.results import CandidateEdit, LicenseChange, Page, Subscription, Verdict
from fotapool.model import Outcome, Verb, parse_imei
from fotapool.wire import family_answers as answers
from fotapool.wire import v2, v3
from fotapool.wire.answered import keep_answer
from fotapool.wire.documented import (
    DeviceResult,
    DeviceResult1,
    LicenseIMEI,
    LicenseResponse,
    LicenseResponse1,
    LicensesAssignedRemovedRequest,
)

T = TypeVar("T")
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT", LicenseResponse, LicenseResponse1)

NAMED_MAX = 1000
"""How many devices may be asked for by name at a time."""

_DONE = {Verb.ASSIGN: Outcome.ASSIGNED, Verb.REMOVE: Outcome.REMOVED}
_WAS_DONE = {Verb.ASSIGN: Outcome.ALREADY_LICENSED, Verb.REMOVE: Outcome.NOT_LICENSED}


@dataclass(frozen=True, slots=True)
class _Form(Generic[T, ItemT]):
    """What of an assign or remove depends on the kind of its answer.

    `done` is the item of a device that was found as asked; `was_done` tells of an item that it
    says the same. `joined` is the answer with these items, `told` one made of totals alone.
    """

    send: Callable[[list[str]], Call[T]]
    items_of: Callable[[T], Sequence[ItemT]]
    name_of: Callable[[ItemT], str]
    done: Callable[[str], ItemT]
    was_done: Callable[[ItemT], bool]
    joined: Callable[[T, tuple[ItemT, ...]], T]
    told: Callable[[str, int, int], T]


def plain_change_call(
    account: str, verb: Verb, imeis: Iterable[str], key: str | None
) -> Call[LicenseChange]:
    """Assigns or removes; read into verdicts."""

    def send(imeis: list[str]) -> Call[LicenseChange]:
        body = v3.write_request(LicensesAssignedRemovedRequest(device_list=imeis))
        path = f"{licenses_path('v3', account)}/{verb.word}"
        return Call("POST", path, lambda response: _read_change(verb, response), body)

    form = _Form(
        send,
        items_of=lambda change: change.verdicts,
        name_of=lambda verdict: verdict.imei,
        done=lambda imei: Verdict(imei, _DONE[verb], "", "", reconciled=True),
        was_done=lambda verdict: verdict.outcome is _WAS_DONE[verb],
        joined=lambda change, items: replace(change, verdicts=items, reconciled=True),
        told=lambda account, total, used: LicenseChange(account, total, used, ()),
    )
    return _settleable(account, verb, list_of_imeis(imeis), form, key)


def v3_change_call(
    account: str, verb: Verb, request: LicensesAssignedRemovedRequest
) -> Call[LicenseResponse1]:
    """Assigns or removes as documented (v3)."""

    def send(imeis: list[str] | None) -> Call[LicenseResponse1]:
        body = v3.write_request(LicensesAssignedRemovedRequest(device_list=imeis))
        path = f"{licenses_path('v3', account)}/{verb.word}"
        return Call("POST", path, reading(v3.read_change), body)

    def told(account: str, total: int, used: int) -> LicenseResponse1:
        return LicenseResponse1(
            account_name=account, lic_count=None, lic_total_count=total, lic_used_count=used
        )

    status = v3.WORDS[verb][_DONE[verb]][0]
    return _documented(
        account,
        verb,
        request.device_list,
        send=send,
        done=partial(DeviceResult1, status=status),
        was_done=lambda item: v3.read_outcomes(verb, [item])[0] is _WAS_DONE[verb],
        told=told,
    )


def v2_change_call(account: str, verb: Verb, request: LicenseIMEI) -> Call[LicenseResponse]:
    """Assigns or removes as documented (v2)."""

    def send(imeis: list[str] | None) -> Call[LicenseResponse]:
        body = v2.write_request(LicenseIMEI(imeis, request.account_name))
        path = f"{licenses_path('v2', account)}/{verb.word}"
        return Call("POST", path, reading(v2.read_change), body)

    def told(account: str, total: int, used: int) -> LicenseResponse:
        return LicenseResponse(account_name=account, lic_total_count=total, lic_used_count=used)

    status = v2.WORDS[verb][_DONE[verb]][0]
    was_done = v2.WORDS[verb][_WAS_DONE[verb]]
    return _documented(
        account,
        verb,
        request.device_list,
        send=send,
        done=partial(DeviceResult, status=status),
        was_done=lambda item: (item.status, item.result_reason) == was_done,
        told=told,
    )


def edit_call(
    account: str, imeis: Iterable[str], key: str | None, *, append: bool
) -> Call[CandidateEdit]:
    """Replaces the candidate list, which may be done twice, or adds to it."""
    listed = list_of_imeis(imeis)
    body = answers.write_candidates(listed, append=append)
    call = Call("POST", candidates_path(account), reading(answers.read_candidates), body, key)
    edit = making(partial(_edit_of, account), call)
    if not append:
        return structs.replace(edit, idempotent=True)
    if not listed:
        return structs.replace(edit, writes=False)  # nothing to do: the service says so
    return structs.replace(edit, settle=partial(_append_steps, account, listed))


def clear_call(account: str, key: str | None) -> Call[CandidateEdit]:
    """Empties the candidate list, which may be done twice."""

    def read(_response: Response) -> CandidateEdit:
        return CandidateEdit(account, 0, ())

    return Call("DELETE", candidates_path(account), read, key=key, writes=True, idempotent=True)


def _documented(
    account: str,
    verb: Verb,
    imeis: list[str] | None,
    *,
    send: Callable[[list[str] | None], Call[AnswerT]],
    done: Callable[[str], Any],
    was_done: Callable[[Any], bool],
    told: Callable[[str, int, int], AnswerT],
) -> Call[AnswerT]:
    if imeis is None:
        # It goes out as it is: the service says what is wrong with it.
        return send(None)
    form: _Form[AnswerT, Any] = _Form(
        send,
        items_of=lambda answer: answer.device_list,
        name_of=lambda item: item.device_id,
        done=done,
        was_done=was_done,
        joined=lambda answer, items: replace(answer, device_list=items, reconciled=True),
        told=told,
    )
    return _settleable(account, verb, list(imeis), form, None)


def _settleable(
    account: str, verb: Verb, imeis: list[str], form: _Form[T, Any], key: str | None
) -> Call[T]:
    call = structs.replace(form.send(imeis), key=key)
    if not imeis:
        return structs.replace(call, writes=False)  # nothing to do: the service says so
    return structs.replace(call, settle=partial(_steps, account, verb, imeis, form))


def _steps(account: str, verb: Verb, imeis: list[str], form: _Form[T, Any]) -> Steps[T]:
    """Reads what the devices hold; ends with the call for those that are not as was asked."""
    held = yield from _read_held(account, imeis)
    wanted = verb is Verb.ASSIGN
    first = _first_of(imeis)
    is_done = [here and held.get(imei) is wanted for here, imei in zip(first, imeis, strict=True)]
    missing = [imei for imei, done in zip(imeis, is_done, strict=True) if not done]

    def item_of(at: int, answered: dict[str, list[Any]]) -> Any:
        if is_done[at]:
            return form.done(imeis[at])
        if not answered.get(imeis[at]):
            raise msgspec.ValidationError(f"no verdict for {imeis[at]}")
        item = answered[imeis[at]].pop(0)
        # It was not as asked when it was read, and was when this came: the first request was slow.
        late = first[at] and held.get(imeis[at]) is (not wanted) and form.was_done(item)
        return form.done(imeis[at]) if late else item

    def whole(answer: T) -> T:
        answered: dict[str, list[Any]] = {}
        for item in form.items_of(answer):
            answered.setdefault(form.name_of(item), []).append(item)
        return form.joined(answer, tuple(item_of(at, answered) for at in range(len(imeis))))

    if not missing:
        told: Subscription = yield subscription_call(account)
        return Settled(whole(_totals_of(told, form)))
    call = making(whole, form.send(missing))
    return structs.replace(call, settle=partial(_steps, account, verb, imeis, form))


def _read_held(account: str, imeis: list[str]) -> Generator[Call[Any], Any, dict[str, bool]]:
    """Which of the devices that the account has hold a license. Raises ApiError if not told."""
    names = [imei for imei in dict.fromkeys(imeis) if parse_imei(imei) is not None]
    held: dict[str, bool] = {}
    for start in range(0, len(names), NAMED_MAX):
        read: answers.DeviceList = yield named_call(account, names[start : start + NAMED_MAX])
        for device in read.device_list or ():
            if device.request_status in (None, "Success"):
                if device.license_assigned is None:
                    raise ApiError(f"it is not told whether {device.device_id} has a license")
                held[device.device_id] = device.license_assigned
    return held


def _first_of(imeis: list[str]) -> list[bool]:
    """Whether each item is the first of its name: of the others the service has its own word."""
    seen: set[str] = set()
    first: list[bool] = []
    for imei in imeis:
        first.append(imei not in seen)
        seen.add(imei)
    return first


def _totals_of(told: Subscription, form: _Form[T, Any]) -> T:
    """An answer without verdicts, for what is done already. Raises ApiError for unknown totals."""
    if told.total is None or told.used is None:
        raise ApiError("the subscription tells no counts")
    result = form.told(told.account, told.total, told.used)
    keep_answer(result, told.response)
    return result


def _append_steps(account: str, imeis: list[str]) -> Steps[CandidateEdit]:
    """Reads the list; ends with the call that adds what it lacks."""
    listed: set[str] = set()
    cursor: str | None = None
    while cursor != NO_CURSOR:
        page: Page[str] = yield candidates_call(account, cursor)
        listed.update(page.items)
        if page.cursor is None:
            break
        cursor = page.cursor
    missing = [imei for imei in imeis if imei not in listed]
    if not missing:
        read = documented_get(candidates_path(account), answers.read_candidates)
        told: CandidateEdit = yield making(partial(_edit_of, account), read)
        return Settled(replace(told, reconciled=True))
    call = edit_call(account, missing, None, append=True)
    again = partial(_append_steps, account, imeis)
    return structs.replace(making(lambda edit: replace(edit, reconciled=True), call), settle=again)


def _edit_of(account: str, told: answers.CandidateList) -> CandidateEdit:
    return CandidateEdit(account, told.count, tuple(told.device_list or ()))


def _read_change(verb: Verb, response: Response) -> LicenseChange:
    answer = v3.read_change(response.body)
    outcomes = v3.read_outcomes(verb, answer.device_list)
    return LicenseChange(
        account=answer.account_name,
        total=answer.lic_total_count,
        used=answer.lic_used_count,
        verdicts=tuple(
            Verdict(item.device_id, outcome, item.status, item.result_reason or item.reason or "")
            for item, outcome in zip(answer.device_list, outcomes, strict=True)
        ),
        change=change_number(response),
        replayed=is_replayed(response),
    )
