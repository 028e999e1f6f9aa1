"""Recording and replaying, with secrets taken out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fotapool import Client, ConfigurationError, ErrorException
from fotapool.testing import (
    Emulator,
    Live,
    NotRecorded,
    Recorder,
    Replayer,
    recording,
    replaying,
    save,
)

ACCOUNT = "0000123456-00001"
A, B = "990003425730500", "990003425730501"


def work(client: Client) -> list[object]:
    """Something that a test does, and what it sees."""
    seen: list[object] = [
        client.licenses.assign(ACCOUNT, [A, B, "x"]),
        client.licenses.status(ACCOUNT),
        client.licenses.remove(ACCOUNT, [A]),
        client.licenses.status(ACCOUNT),
    ]
    with pytest.raises(ErrorException) as caught:
        client.licenses.status("another")
    return [*seen, str(caught.value)]


def credentials(live: Live) -> list[str]:
    login = live.login
    tokens = live.client._tokens.get(session=True)
    return [login.client_secret, login.password, login.username + '"', *tokens.values()]


def test_what_was_recorded_is_replayed(fota_live: Live, tmp_path: Path) -> None:
    path = tmp_path / "cassette.jsonl"
    with recording(path):
        seen = work(Client())
    for secret in credentials(fota_live):
        assert secret not in path.read_text()
    fota_live.reset()
    with replaying(path) as replayer:
        again = work(Client(base_url="https://thingspace.verizon.com"))

    assert again == seen
    assert replayer.left == []
    assert len(fota_live.requests) == 0


def test_the_journal_can_be_kept_and_replayed(fota: Emulator, tmp_path: Path) -> None:
    seen = work(fota.client)
    save(tmp_path / "kept.jsonl", fota.requests)

    assert work(fota.new_client(transport=Replayer(tmp_path / "kept.jsonl"))) == seen


def test_a_request_that_was_not_recorded_is_told(fota: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    client = fota.new_client(transport=Recorder(path, fota.transport))
    client.licenses.assign(ACCOUNT, [A])
    replayed = fota.new_client(transport=Replayer(path))

    with pytest.raises(NotRecorded, match=rf"no answer left for POST .*\n.*assign .*{A}"):
        replayed.licenses.assign(ACCOUNT, [B])
    replayed.licenses.assign(ACCOUNT, [A])
    with pytest.raises(NotRecorded, match="it has\n  nothing"):
        replayed.licenses.assign(ACCOUNT, [A])


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file"), ("{}\n", "line 1: .*method"), ("\n<", "line 2")]
)
def test_a_file_that_is_no_cassette_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "c.jsonl"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigurationError, match=said):
        Replayer(path)
