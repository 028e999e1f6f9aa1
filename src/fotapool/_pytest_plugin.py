"""The pytest plugin: fixtures `fota` and `fota_live`. Nothing is imported before one is used."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from fotapool.testing import Emulator, Guard, Live, Scenario

MARKER = (
    "fota(scenario=…, strict=False, allow_hosts=[…]): what the fixtures fota and fota_live begin "
    "with (a Scenario, or the path of a file), whether requests with a remark are refused, and "
    "which other hosts may be reached"
)
T = TypeVar("T")

_ARGUMENTS = {"scenario", "strict", "allow_hosts"}

_journals = pytest.StashKey[object]()
_guards = pytest.StashKey[Callable[[bool], None]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("fota_scenario", "a scenario file (.toml, .json) for fota and fota_live")
    parser.addini(
        "fota_strict",
        "refuse unknown paths, malformed IMEIs and deprecated calls, and fail the test",
        type="bool",
        default=False,
    )
    parser.addini("fota_allow_hosts", "hosts that tests with fota may reach", type="args")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the test itself, not its teardown, for what it did and perhaps did not see."""
    passed = False
    try:
        result = yield
        passed = True
    finally:
        check = item.stash.get(_guards, None)
        if check is not None:
            check(passed)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what was asked of the emulator."""
    report = yield
    journal = item.stash.get(_journals, None)
    if journal is not None and call.when == "call" and report.failed:
        report.sections.append(("fota: what was asked", str(journal)))
    return report


@pytest.fixture
def fota_scenario(request: pytest.FixtureRequest) -> Scenario:
    """What `fota` and `fota_live` begin with; override it for a module or a folder."""
    from fotapool.testing import Scenario  # noqa: PLC0415

    given = _arguments(request).get("scenario")
    if isinstance(given, Scenario):
        return given
    named = request.config.getini("fota_scenario")
    path = request.path.parent / given if given else request.config.rootpath / named
    return _made(lambda: Scenario.load(path) if given or named else Scenario())


@pytest.fixture
def _fota_guard(request: pytest.FixtureRequest) -> Guard:
    """Which hosts the test may reach."""
    from fotapool.testing import Guard  # noqa: PLC0415

    allowed = [*request.config.getini("fota_allow_hosts")]
    return Guard(request.node.nodeid, [*allowed, *_arguments(request).get("allow_hosts", ())])


@pytest.fixture
def _fota_emulator(
    request: pytest.FixtureRequest, fota_scenario: Scenario, _fota_guard: Guard
) -> Iterator[Emulator]:
    """The emulator that `fota` and `fota_live` of one test share."""
    from fotapool.testing import Emulator, verify  # noqa: PLC0415

    strict = _arguments(request).get("strict", request.config.getini("fota_strict"))
    with _made(lambda: Emulator(fota_scenario, strict=strict)) as emulator:

        def check(passed: bool) -> None:
            wrong = ""
            try:
                verify(emulator, _fota_guard)
            except AssertionError as error:
                wrong = str(error)
            if wrong and passed:  # else it has failed already, and perhaps for this
                pytest.fail(wrong, pytrace=False)

        request.node.stash[_guards] = check
        request.node.stash[_journals] = emulator.requests
        yield emulator
        _fota_guard.verify()


@pytest.fixture
def fota(_fota_emulator: Emulator, _fota_guard: Guard) -> Iterator[Emulator]:
    """The license service in process: `client`, `requests`, `clock`, `faults`.

    Every `fotapool.Client` without a transport of its own talks to it, and a connection to any
    host but this machine fails the test.
    """
    from fotapool.testing import standing  # noqa: PLC0415

    with standing(_fota_emulator, _fota_guard):
        yield _fota_emulator


@pytest.fixture
def fota_live(_fota_emulator: Emulator, _fota_guard: Guard) -> Iterator[Live]:
    """The license service on a socket: `base_url`, `env`, and what `fota` has."""
    from fotapool.testing import live  # noqa: PLC0415

    with live(_fota_emulator, _fota_guard) as served:
        yield served


def _made(make: Callable[[], T]) -> T:
    """What is made; a scenario that makes no sense fails the test in one line."""
    from fotapool.model import ConfigurationError  # noqa: PLC0415

    try:
        return make()
    except ConfigurationError as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("fota")
    if marker is None:
        return {}
    unknown = set(marker.kwargs) - _ARGUMENTS
    if marker.args or unknown:
        pytest.fail(f"{request.node.nodeid}: use @pytest.mark.{MARKER}", pytrace=False)
    return dict(marker.kwargs)
