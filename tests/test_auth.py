"""Tokens, sessions, locks, rotation, and what one process may remember."""

from __future__ import annotations

import re

import pytest

from fotapool.auth import Auth, Identity, Secrets, judge_login
from fotapool.auth.secrets import digest, hash_chosen, hash_made, matches
from fotapool.model import (
    AlreadyExists,
    ConfigurationError,
    Credential,
    NotFound,
    Refusal,
    Refused,
    Role,
)
from world import ACCOUNT, Clock, World


@pytest.fixture
def secrets(world: World) -> Secrets:
    world.add_account()
    return world.credentials.create([ACCOUNT], name="fleet")


def refused(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.refusal.name


def use(auth: Auth, identity: Identity, session: str) -> bool:
    """Use a session, and whether that was stored."""
    stored = auth.check_session(identity, session)
    if stored is not None:
        stored.result(10)
    return stored is not None


def another_process(world: World) -> Auth:
    return Auth(world.store, clock=world.clock, random=bytes)


# --- bearer tokens -----------------------------------------------------------------------------


def test_within_its_hour_every_call_gives_the_same_token_and_its_remaining_seconds(
    world: World, secrets: Secrets
) -> None:
    first, first_s = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    world.clock.advance(minutes=59)
    second, second_s = another_process(world).issue_token(secrets.client_id, secrets.client_secret)
    world.clock.advance(minutes=1)
    third, third_s = world.auth.issue_token(secrets.client_id, secrets.client_secret)

    assert (first, first_s, second_s, third_s) == (second, 3600, 60, 3600)
    assert third != first


def test_a_clock_that_goes_back_makes_no_token_older_than_an_hour(
    world: World, secrets: Secrets
) -> None:
    first = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    world.clock.advance(minutes=-90)

    assert world.auth.issue_token(secrets.client_id, secrets.client_secret) == first


def test_a_token_dies_after_its_hour(world: World, secrets: Secrets) -> None:
    token, _ = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    world.clock.advance(minutes=60, ms=-1)
    assert world.auth.identify(token).name == "fleet"
    world.clock.advance(ms=1)

    assert refused(world.auth.identify, token) == "BEARER_INVALID"


def test_a_token_tells_who_and_for_which_accounts(world: World, secrets: Secrets) -> None:
    token, _ = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    identity = world.auth.identify(token)

    assert (identity.name, identity.role, list(identity.accounts)) == (
        "fleet",
        Role.OPERATOR,
        [ACCOUNT],
    )
    assert refused(identity.account, "other") == "ACCOUNT_NOT_FOUND"
    assert refused(identity.require, Role.ADMIN) == "ROLE_MISSING"


@pytest.mark.parametrize("wrong", ["", "x", "é"])
def test_wrong_client_credentials_are_refused(world: World, secrets: Secrets, wrong: str) -> None:
    assert refused(world.auth.issue_token, secrets.client_id, wrong) == "CLIENT_INVALID"
    assert refused(world.auth.issue_token, wrong, secrets.client_secret) == "CLIENT_INVALID"
    assert refused(world.auth.identify, wrong) == "BEARER_INVALID"


def test_revoking_ends_a_token_at_once_here_and_soon_elsewhere(
    world: World, secrets: Secrets
) -> None:
    elsewhere = another_process(world)
    token, _ = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    elsewhere.identify(token)
    world.auth.identify(token)
    world.auth.revoke_token(secrets.client_id, secrets.client_secret, token)

    assert refused(world.auth.identify, token) == "BEARER_INVALID"
    assert elsewhere.identify(token).name == "fleet"
    world.clock.advance(seconds=5)
    assert refused(elsewhere.identify, token) == "BEARER_INVALID"
    again, seconds = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    assert again != token
    assert seconds == 3600


def test_nobody_revokes_anothers_token(world: World, secrets: Secrets) -> None:
    other = world.credentials.create([ACCOUNT])
    token, _ = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    world.auth.revoke_token(other.client_id, other.client_secret, token)
    world.clock.advance(seconds=5)

    assert world.auth.identify(token).name == "fleet"


def test_a_clock_that_jumps_back_does_not_revive_what_is_remembered(
    world: World, secrets: Secrets
) -> None:
    token, _ = world.auth.issue_token(secrets.client_id, secrets.client_secret)
    world.auth.identify(token)
    world.clock.advance(minutes=-90)
    another_process(world).revoke_token(secrets.client_id, secrets.client_secret, token)

    assert refused(world.auth.identify, token) == "BEARER_INVALID"


# --- sessions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("idle_minutes", "alive"),
    [(0, True), (19, True), (20, True), (20.99, True), (21.01, False), (60, False)],
)
def test_a_session_dies_after_20_to_21_idle_minutes(
    world: World, secrets: Secrets, idle_minutes: float, alive: bool
) -> None:
    login = world.log_in(secrets)
    identity = world.auth.identify(login.bearer)
    world.clock.advance(minutes=idle_minutes)

    if alive:
        world.auth.check_session(identity, login.session)
    else:
        assert refused(world.auth.check_session, identity, login.session) == "SESSION_EXPIRED"


@pytest.mark.parametrize("step_s", [1, 29, 59, 60, 61, 1199])
def test_using_a_session_keeps_it_alive(world: World, secrets: Secrets, step_s: int) -> None:
    """However the uses fall, none within 20 minutes of another is refused."""
    login = world.log_in(secrets)
    identity = world.auth.identify(login.bearer)
    for _ in range(5):
        world.clock.advance(seconds=step_s)
        use(world.auth, identity, login.session)
    world.clock.advance(minutes=20)

    assert use(another_process(world), identity, login.session)


def test_a_use_is_stored_once_a_minute_at_most(world: World, secrets: Secrets) -> None:
    login = world.log_in(secrets)
    identity = world.auth.identify(login.bearer)

    stored = []
    for _ in range(12):
        world.clock.advance(seconds=10)
        stored.append(use(world.auth, identity, login.session))

    assert stored == [False, False, False, False, False, True] * 2


def test_a_session_belongs_to_the_credential_that_logged_in(world: World, secrets: Secrets) -> None:
    mine = world.log_in(secrets)
    other = world.add_login()
    identity = world.auth.identify(other.bearer)

    assert refused(world.auth.check_session, identity, mine.session) == "SESSION_INVALID"
    assert refused(world.auth.check_session, identity, "") == "SESSION_INVALID"
    assert refused(world.auth.log_out, identity, mine.session) == "SESSION_INVALID"


def test_logging_out_ends_one_session_and_a_use_that_races_it_does_not_revive_it(
    world: World, secrets: Secrets
) -> None:
    first, second = world.log_in(secrets), world.log_in(secrets)
    identity = world.auth.identify(first.bearer)
    world.clock.advance(minutes=2)
    elsewhere = another_process(world)
    use(elsewhere, identity, first.session)
    world.auth.log_out(identity, first.session)
    world.store.write(lambda tx: tx.touch_session(digest(first.session), world.clock())).result()

    assert refused(world.auth.check_session, identity, first.session) == "SESSION_INVALID"
    world.auth.check_session(identity, second.session)


def test_dead_sessions_are_forgotten_after_a_day(world: World, secrets: Secrets) -> None:
    old = world.log_in(secrets)
    world.clock.advance(minutes=25 * 60)
    new = world.log_in(secrets)
    identity = world.auth.identify(new.bearer)

    assert refused(world.auth.check_session, identity, old.session) == "SESSION_INVALID"


# --- logins ------------------------------------------------------------------------------------

LOCK_MS = 900_000
# failures, locked until, now  matches   failures, locked until after
JUDGED = [
    (0, 0,      1000, True,    0, 0),
    (0, 0,      1000, False,   1, 0),
    (3, 0,      1000, False,   4, 0),
    (4, 0,      1000, True,    0, 0),
    (4, 0,      1000, False,   5, 1000 + LOCK_MS),
    (5, 5000,   4999, True,    5, 5000),
    (5, 5000,   4999, False,   5, 5000),
    (5, 5000,   5000, True,    0, 0),
    (5, 5000,   5000, False,   1, 0),
]  # fmt: skip


@pytest.mark.parametrize(("failed", "until", "now", "right", "failed_after", "until_after"), JUDGED)
def test_judging_a_login(
    failed: int, until: int, now: int, right: bool, failed_after: int, until_after: int
) -> None:
    before = Credential(
        1, "n", Role.VIEWER, "c", "s", "u", "p", 0, failed_logins=failed, locked_until_ms=until
    )

    after = judge_login(before, right, now)

    assert (after.failed_logins, after.locked_until_ms) == (failed_after, until_after)


def test_five_failures_lock_a_login_and_a_locked_one_answers_like_a_wrong_password(
    world: World, secrets: Secrets
) -> None:
    identity = world.auth.identify(world.log_in(secrets).bearer)
    for _ in range(5):
        assert refused(world.auth.log_in, identity, secrets.username, "wrong") == "LOGIN_REFUSED"

    assert (
        refused(world.auth.log_in, identity, secrets.username, secrets.password) == "LOGIN_REFUSED"
    )
    world.clock.advance(minutes=15)
    assert world.auth.log_in(identity, secrets.username, secrets.password)


def test_a_locked_login_can_be_unlocked(world: World, secrets: Secrets) -> None:
    identity = world.auth.identify(world.log_in(secrets).bearer)
    for _ in range(5):
        refused(world.auth.log_in, identity, secrets.username, "wrong")
    world.credentials.unlock("fleet")

    assert world.auth.log_in(identity, secrets.username, secrets.password)


def test_nobody_locks_anothers_login(world: World, secrets: Secrets) -> None:
    other = world.auth.identify(world.add_login().bearer)
    for _ in range(9):
        assert refused(world.auth.log_in, other, secrets.username, "wrong") == "LOGIN_REFUSED"
        assert (
            refused(world.auth.log_in, other, secrets.username, secrets.password) == "LOGIN_REFUSED"
        )
        assert refused(world.auth.log_in, other, "nobody", "wrong") == "LOGIN_REFUSED"

    assert world.log_in(secrets).session


# --- credentials -------------------------------------------------------------------------------


def test_no_secret_stands_in_the_database(world: World, secrets: Secrets) -> None:
    login = world.log_in(secrets)
    shown = [secrets.client_secret, secrets.password, login.bearer, login.session]
    stored = world.store.read(
        lambda tables: [
            value
            for table in ("account_name", "credential", "credential_account", "token", "session")
            for row in tables.connection.rows(f"SELECT * FROM {table}")
            for value in row
        ]
    )
    dump = " ".join(each.hex() if isinstance(each, bytes) else str(each) for each in stored)

    assert secrets.client_id in dump
    assert not [secret for secret in shown if secret in dump or secret.encode().hex() in dump]


def test_rotating_ends_what_was_and_keeps_the_client_id(world: World, secrets: Secrets) -> None:
    login = world.log_in(secrets)
    rotated = world.credentials.rotate("fleet")
    world.auth.forget()

    assert rotated.client_id == secrets.client_id
    assert refused(world.auth.identify, login.bearer) == "BEARER_INVALID"
    assert (
        refused(world.auth.issue_token, secrets.client_id, secrets.client_secret)
        == "CLIENT_INVALID"
    )
    assert world.log_in(rotated).session != login.session


def test_a_revoked_credential_is_out_and_its_name_stays_taken(
    world: World, secrets: Secrets
) -> None:
    login = world.log_in(secrets)
    world.credentials.revoke("fleet")
    world.clock.advance(seconds=5)

    assert refused(world.auth.identify, login.bearer) == "BEARER_INVALID"
    assert (
        refused(world.auth.issue_token, secrets.client_id, secrets.client_secret)
        == "CLIENT_INVALID"
    )
    for change in (world.credentials.rotate, world.credentials.unlock, world.credentials.revoke):
        with pytest.raises(NotFound, match="credential fleet is revoked"):
            change("fleet")
    with pytest.raises(AlreadyExists, match="fleet exists already"):
        world.credentials.create([ACCOUNT], name="fleet")


def test_a_credential_needs_accounts_that_exist_and_a_fit_name(world: World) -> None:
    world.add_account()
    with pytest.raises(NotFound, match="no account other"):
        world.credentials.create([ACCOUNT, "other"])
    for name in ("a b", "cli:root", "x" * 65, "ä"):
        with pytest.raises(ConfigurationError, match="use 1 to 64"):
            world.credentials.create([ACCOUNT], name=name)
    assert world.credentials.all() == []


def test_a_chosen_password_is_kept_by_scrypt(world: World) -> None:
    world.add_account()
    secrets = world.credentials.create([ACCOUNT], name="old", password="correct horse")
    (credential, _), *_ = world.credentials.all()

    assert re.fullmatch(r"scrypt\$[0-9a-f]{32}\$[0-9a-f]{128}", credential.password_hash)
    assert world.log_in(secrets).session


@pytest.mark.parametrize("stored", [hash_made("secret"), hash_chosen("secret", bytes(16))])
def test_hashes_match_their_secret_alone(stored: str) -> None:
    assert matches(stored, "secret")
    assert not matches(stored, "Secret")
    assert not matches(stored, "")
    assert not matches("", "secret")


def test_sessions_and_tokens_survive_a_restart(
    world: World, secrets: Secrets, clock: Clock
) -> None:
    login = world.log_in(secrets)
    restarted = Auth(world.store, clock=clock, random=bytes)

    identity = restarted.identify(login.bearer)
    restarted.check_session(identity, login.session)
    assert restarted.issue_token(secrets.client_id, secrets.client_secret)[0] == login.bearer


def test_refusals_have_one_text_each() -> None:
    assert len({refusal.value for refusal in Refusal}) == len(Refusal)
