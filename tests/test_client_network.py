"""How requests travel: proxies, TLS, plain http, redirects, time, connections, forks."""

from __future__ import annotations

import asyncio
import base64
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fotapool import (
    AsyncClient,
    Client,
    ConfigurationError,
    ConnectionFailed,
    TimedOut,
    UnexpectedAnswer,
)
from fotapool.client import Network, Urllib3Transport, certificates
from fotapool.client.network import is_loopback, is_spared, proxy_variable, read_proxy
from fotapool.client.watching import LOGGER
from fotapool.testing import Emulator, Live, emulated
from network import (
    Asked,
    Authority,
    Handle,
    ProxyServer,
    Service,
    answered,
    listening,
    read_request,
    serving_tls,
    within,
)
from world import ACCOUNT, Script

both = pytest.mark.usefixtures("colour")
SOURCE = Path(__file__).parent.parent / "src"
A = "990003425730524"
READY = {"access_token": "b", "session_token": "s"}
BASIC = "Basic " + base64.b64encode(b"user:pass word").decode()
Settings = Callable[[], dict[str, Any]]


def client_of(base_url: str, **settings: Any) -> Client:
    """One with ready tokens, which fails at once."""
    return Client(**{**READY, "base_url": base_url, "max_retries": 0, **settings})


# --- which way: decided without a socket -------------------------------------------------------

# environment                                                  url                    by
WAYS: list[tuple[dict[str, str], str, str | None]] = [
    ({},                                                       "https://h",           None),
    ({"HTTPS_PROXY": "p"},                                     "https://h",           "HTTPS_PROXY"),
    ({"https_proxy": "p"},                                     "https://h",           "https_proxy"),
    ({"HTTPS_PROXY": "p", "https_proxy": "q"},                 "https://h",           "https_proxy"),
    ({"HTTPS_PROXY": "p", "https_proxy": ""},                  "https://h",           None),
    ({"HTTPS_PROXY": "p"},                                     "http://h",            None),
    ({"HTTP_PROXY": "p"},                                      "http://h",            "HTTP_PROXY"),
    ({"HTTP_PROXY": "p", "REQUEST_METHOD": "GET"},             "http://h",            None),
    ({"http_proxy": "p", "REQUEST_METHOD": "GET"},             "http://h",            "http_proxy"),
    ({"HTTP_PROXY": "p"},                                      "https://h",           None),
    ({"ALL_PROXY": "p"},                                       "https://h",           "ALL_PROXY"),
    ({"all_proxy": "p", "HTTPS_PROXY": "q"},                   "https://h",           "HTTPS_PROXY"),
    ({"ALL_PROXY": "p", "HTTPS_PROXY": ""},                    "https://h",           None),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "url", "by"), WAYS, ids=range(len(WAYS)))
def test_which_variable_names_a_proxy(
    environment: dict[str, str], url: str, by: str | None
) -> None:
    assert proxy_variable(urlsplit(url).scheme, environment) == by


# no_proxy                  url                         spared
SPARED = [
    ("",                    "https://a.example",        False),
    ("*",                   "https://a.example",        True),
    ("example",             "https://a.example",        True),
    (".example",            "https://a.example",        True),
    ("*.example",           "https://a.example",        True),
    ("a.example",           "https://A.EXAMPLE",        True),
    ("a.example",           "https://a.example.",       True),
    ("a.example",           "https://b.a.example",      True),
    ("a.example",           "https://ba.example",       False),
    ("b, a.example",        "https://a.example",        True),
    ("b a.example",         "https://a.example",        True),
    ("a.example:443",       "https://a.example",        True),
    ("a.example:443",       "https://a.example:8443",   False),
    ("a.example:80",        "http://a.example",         True),
    ("10.0.0.1",            "https://10.0.0.1",         True),
    ("10.0.0.1",            "https://10.0.0.10",        False),
    ("0.0.1",               "https://10.0.0.1",         False),
    ("10.0.0.0/8",          "https://10.9.9.9",         True),
    ("10.0.0.0/8",          "https://11.9.9.9",         False),
    ("10.0.0.1/8",          "https://10.9.9.9",         True),
    ("10.0.0.0/x",          "https://10.9.9.9",         False),
    ("10.0.0.0/8",          "https://a.example",        False),
    ("fd00::/8",            "https://[fd00::1]",        True),
    ("fd00::1",             "https://[FD00:0::1]",      True),
    ("[fd00::1]:443",       "https://[fd00::1]",        True),
    ("[fd00::1]:444",       "https://[fd00::1]",        False),
    (",,.,",                "https://a.example",        False),
]  # fmt: skip


@pytest.mark.parametrize(("said", "url", "spared"), SPARED, ids=range(len(SPARED)))
def test_which_hosts_no_proxy_spares(said: str, url: str, spared: bool) -> None:
    assert is_spared(urlsplit(url), {"NO_PROXY": said}) is spared
    assert is_spared(urlsplit(url), {"no_proxy": said, "NO_PROXY": "*"}) is spared


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("pool.localhost", True),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("128.0.0.1", False),
        ("127.0.0.1.example", False),
        ("127.1", False),  # some resolvers take it for 127.0.0.1; nobody is sure
        ("::1", True),
        ("::2", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, near: bool) -> None:
    assert is_loopback(host) is near


@pytest.mark.parametrize(
    ("text", "url", "authorization"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("proxy:3128", "http://proxy:3128", None),
        ("proxy", "http://proxy:80", None),
        ("https://proxy/", "https://proxy:443", None),
        ("http://user:pass%20word@proxy:1", "http://proxy:1", BASIC),
        ("http://[::1]:3128", "http://[::1]:3128", None),
    ],
)
def test_a_proxy_is_read(text: str, url: str, authorization: str | None) -> None:
    proxy = read_proxy("proxy", text)

    assert (proxy.url, proxy.authorization) == (url, authorization)
    assert repr(proxy) == f"Proxy({url!r})"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("socks5://u:secret@proxy:1080", "proxy: a proxy of the scheme socks5 cannot be used; use"),
        ("http://u:secret@proxy:port", "proxy: this cannot be used; use http://HOST:PORT"),
        ("http://u:secret@", "proxy: this cannot be used"),
        ("http://proxy/path/secret", "proxy: this cannot be used"),
        (" ", "proxy: this cannot be used"),
    ],
)
@both
def test_a_proxy_that_is_none_is_told_without_its_login(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(proxy=text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@both
def test_a_proxy_of_the_environment_that_is_none_is_told_where_it_would_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")
    with pytest.raises(ConfigurationError, match="ALL_PROXY: a proxy of the scheme socks5"):
        Client()
    Client(base_url="http://127.0.0.1:1")
    Client(proxy="")
    monkeypatch.setenv("NO_PROXY", "verizon.com")
    Client()


@both
def test_words_about_the_network_beside_a_transport_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not heard beside a transport"):
        Client(transport=Script(), proxy="proxy:1")
    with pytest.raises(ConfigurationError, match="connections_max 0: use 1 or more"):
        Client(connections_max=0)


# --- proxies -----------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def service(authority: Authority) -> Iterator[tuple[Service, str]]:
    """A TLS server that goes by the name pool.example, as far as a proxy knows."""
    made = Service(serving_tls(authority.sign("server", "pool.example", "127.0.0.1")))
    with made.running() as url:
        yield made, url.replace("127.0.0.1", "pool.example")


@both
def test_https_goes_through_a_tunnel(authority: Authority, service: tuple[Service, str]) -> None:
    made, url = service
    proxy = ProxyServer(BASIC)
    with (
        proxy.running() as place,
        client_of(url, proxy=f"http://user:pass%20word@{place}", ca_file=authority.file) as client,
    ):
        client.licenses.assign("a", [A])
        assert client.licenses.status("a").used == 1

    # One tunnel for both; the proxy sees no token, the server no login of the proxy.
    assert [asked.line.split()[:2] for asked in proxy.seen] == [
        ["CONNECT", url.removeprefix("https://")]
    ]
    assert [asked.headers["authorization"] for asked in made.seen] == ["Bearer b"] * 2
    assert all("proxy-authorization" not in asked.headers for asked in made.seen)
    assert "authorization" not in proxy.seen[0].headers


@both
def test_http_is_handed_to_the_proxy_whole() -> None:
    proxy, made = ProxyServer(BASIC), Service()
    with made.running() as url, proxy.running() as place:
        named = url.replace("127.0.0.1", "pool.example")
        with client_of(named, proxy=f"http://user:pass%20word@{place}", allow_http=True) as client:
            assert client.licenses.assign("a", [A]).verdicts[0].imei == A

    assert proxy.seen[0].line == f"POST {named}/api/fota/v3/licenses/a/assign HTTP/1.1"
    assert made.seen[0].line == "POST /api/fota/v3/licenses/a/assign HTTP/1.1"
    assert "proxy-authorization" not in made.seen[0].headers


@both
def test_a_proxy_may_speak_tls(authority: Authority, service: tuple[Service, str]) -> None:
    made, url = service
    proxy = ProxyServer(tls=serving_tls(authority.sign("proxy", "127.0.0.1")))
    with (
        proxy.running() as place,
        client_of(url, proxy=f"https://{place}", ca_file=authority.file) as client,
    ):
        assert client.licenses.status("a").used == 1

    assert (len(proxy.seen), len(made.seen)) == (1, 1)


@both
def test_a_proxy_comes_from_the_environment(
    authority: Authority, service: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = service
    proxy = ProxyServer()
    with proxy.running() as place:
        monkeypatch.setenv("HTTPS_PROXY", place)
        with client_of(url, ca_file=authority.file) as client:
            assert client.licenses.status("a").used == 1
        monkeypatch.setenv("NO_PROXY", "example")
        with (
            client_of(url, ca_file=authority.file) as client,
            pytest.raises(ConnectionFailed, match=r"cannot connect to pool\.example"),
        ):
            client.licenses.status("a")
    assert len(proxy.seen) == 1


@both
def test_this_machine_is_reached_without_a_proxy_of_the_environment(
    fota_live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ProxyServer()
    with proxy.running() as place:
        monkeypatch.setenv("HTTP_PROXY", place)
        monkeypatch.setenv("ALL_PROXY", place)
        with fota_live.new_client() as client:
            client.licenses.status(ACCOUNT)
        assert proxy.seen == []
        with fota_live.new_client(transport=Urllib3Transport(Network(proxy=place))) as client:
            client.licenses.status(ACCOUNT)
        assert len(proxy.seen) == 3


@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = client_of(
        f"{scheme}://pool.example", proxy=f"http://u:secret@127.0.0.1:{port}", allow_http=True
    )

    with pytest.raises(ConnectionFailed) as caught:
        client.licenses.assign("a", [A])
    assert str(caught.value) == (
        f"cannot connect to pool.example through the proxy http://127.0.0.1:{port}: "
        "Connection refused"
    )
    assert caught.value.sent is False


@both
def test_a_proxy_that_refuses_has_sent_nothing_on(service: tuple[Service, str]) -> None:
    made, url = service
    proxy = ProxyServer(BASIC)
    with (
        proxy.running() as place,
        client_of(url, proxy=f"http://user:wrong@{place}") as client,
        pytest.raises(ConnectionFailed, match="407 Proxy Authentication Required") as caught,
    ):
        client.licenses.assign("a", [A])

    assert f"through the proxy http://{place}: " in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert caught.value.sent is False
    assert made.seen == []


@both
def test_no_login_of_a_proxy_is_in_a_line_or_a_repr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOTAPOOL_LOG", "debug")
    monkeypatch.setattr(LOGGER, "handlers", [])
    monkeypatch.setattr(LOGGER, "propagate", LOGGER.propagate)
    proxy, made = ProxyServer(BASIC), Service()
    with made.running() as url, proxy.running() as place:
        network = Network(proxy=f"http://user:pass%20word@{place}", allow_http=True)
        with client_of(url, transport=Urllib3Transport(network)) as client:
            client.licenses.status("a")
    LOGGER.setLevel("NOTSET")

    told = capsys.readouterr().err + repr(network) + repr(client)
    assert "-> 200 " in told
    for secret in ("pass%20word", "pass word", BASIC.removeprefix("Basic ")):
        assert secret not in told


# --- TLS ---------------------------------------------------------------------------------------


@both
def test_a_ca_of_ones_own(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By argument, else by SSL_CERT_FILE; the system's do not know it."""
    made = Service(serving_tls(authority.sign("server", "127.0.0.1")))
    other = Authority(tmp_path_factory.mktemp("other"))
    with made.running() as url:
        with client_of(url, ca_file=authority.file) as client:
            assert client.licenses.status("a").used == 1
        with (
            client_of(url) as client,
            pytest.raises(ConnectionFailed, match="certificate is not trusted: ") as caught,
        ):
            client.licenses.assign("a", [A])
        assert "a CA of your own is named by ca_file" in str(caught.value)
        assert caught.value.sent is False
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        with client_of(url) as client:
            assert client.licenses.status("a").used == 1
        with client_of(url, ca_file=other.file) as client, pytest.raises(ConnectionFailed):
            client.licenses.status("a")
    assert len(made.seen) == 2


@both
def test_a_folder_of_certificates(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = authority.file.parent / "trusted"
    folder.mkdir()
    subject = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", authority.file],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (folder / f"{subject}.0").write_bytes(authority.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    made = Service(serving_tls(authority.sign("server", "127.0.0.1")))
    with made.running() as url, client_of(url) as client:
        assert client.licenses.status("a").used == 1


@both
def test_where_openssl_does_not_look_truststore_does(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS and Windows. Here the system's store is OpenSSL's, which reads the variable."""
    pytest.importorskip("truststore", reason="truststore is not in this environment")
    monkeypatch.setattr(certificates, "KEPT_APART", True)
    made = Service(serving_tls(authority.sign("server", "127.0.0.1")))
    with made.running() as url:
        for said, known in (("", False), (str(authority.file), True)):
            network = Network(environment={})
            monkeypatch.setenv("SSL_CERT_FILE", said)
            client = client_of(url, transport=Urllib3Transport(network))
            expected = nullcontext() if known else pytest.raises(ConnectionFailed)
            with client, expected:
                assert client.licenses.status("a").used == 1
            assert type(network.tls_context()).__module__.startswith("truststore")


@both
def test_a_certificate_of_another_host(authority: Authority) -> None:
    made = Service(serving_tls(authority.sign("server", "elsewhere.example")))
    with (
        made.running() as url,
        client_of(url, ca_file=authority.file) as client,
        pytest.raises(ConnectionFailed, match=r"is not trusted: .*127\.0\.0\.1"),
    ):
        client.licenses.status("a")
    assert made.seen == []


@both
@pytest.mark.parametrize("form", ["two files", "one file"])
def test_a_certificate_of_the_client(authority: Authority, form: str, tmp_path: Path) -> None:
    made = Service(serving_tls(authority.sign("server", "127.0.0.1"), clients=authority.file))
    files = authority.sign("fleet")
    shown: Any = files
    if form == "one file":
        shown = tmp_path / "both.pem"
        shown.write_bytes(files[1].read_bytes() + files[0].read_bytes())
    with made.running() as url:
        with client_of(url, ca_file=authority.file, client_certificate=shown) as client:
            assert client.licenses.status("a").used == 1
        with client_of(url, ca_file=authority.file) as client, pytest.raises(ConnectionFailed):
            client.licenses.status("a")
    assert [asked.peer for asked in made.seen] == ["fleet"]


FILES: list[tuple[Callable[[Authority, Path], dict[str, Any]], str]] = [
    (lambda ca, at: {"ca_file": at / "none.pem"}, "ca_file {at}/none.pem: No such file"),
    (lambda ca, at: {"ca_file": at}, "ca_file {at}: Is a directory"),
    (lambda ca, at: {"ca_file": at / "text"}, "ca_file {at}/text: no certificate in it"),
    (
        lambda ca, at: {"client_certificate": at / "none.pem"},
        "client_certificate {at}/none.pem: No such file",
    ),
    (
        lambda ca, at: {"client_certificate": (ca.sign("x")[0], at / "none.pem")},
        "client_certificate {at}/none.pem: No such file",
    ),
    (
        lambda ca, at: {"client_certificate": (at / "text", ca.sign("x")[1])},
        "client_certificate {at}/text, {at}/x.key.pem: no certificate with its key in PEM",
    ),
    (
        lambda ca, at: {"client_certificate": ca.sign("x")[0]},
        "client_certificate {at}/x.crt.pem: no certificate with its key in PEM",
    ),
    (
        lambda ca, at: {"client_certificate": (ca.sign("x")[0], ca.sign("y")[1])},
        "client_certificate {at}/x.crt.pem, {at}/y.key.pem: the key is not the certificate's",
    ),
    (
        lambda ca, at: {"client_certificate": ca.sign("x", passphrase=b"word")},
        "client_certificate {at}/x.key.pem: the key is encrypted; use one without",
    ),
]


@both
@pytest.mark.parametrize(("made", "said"), FILES, ids=range(len(FILES)))
def test_a_file_that_is_none_is_told_at_once(
    authority: Authority,
    tmp_path: Path,
    made: Callable[[Authority, Path], dict[str, Any]],
    said: str,
) -> None:
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(ConfigurationError) as caught:
        Client(**made(authority, tmp_path))
    assert said.format(at=tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@both
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_variable_that_names_no_certificates_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """OpenSSL itself would go on and trust nobody."""
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=f"{variable} {tmp_path}/none: [Nn]o such "):
        client_of("https://127.0.0.1:1").licenses.status("a")


# --- plain http --------------------------------------------------------------------------------

FAR = "http://10.0.0.1:8080"


@both
def test_plain_http_beyond_this_machine_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        client_of(FAR)
    assert str(caught.value) == (
        "base_url http://10.0.0.1:8080: http would carry logins in clear text beyond this "
        "machine; use https, or pass allow_http=True or set FOTAPOOL_ALLOW_HTTP=1"
    )


@both
def test_plain_http_is_allowed_by_argument_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    client_of(FAR, allow_http=True)
    for said, allowed in (("1", True), ("true", True), ("0", False), ("", False)):
        monkeypatch.setenv("FOTAPOOL_ALLOW_HTTP", said)
        if allowed:
            client_of(FAR)
        else:
            with pytest.raises(ConfigurationError):
                client_of(FAR)
    monkeypatch.setenv("FOTAPOOL_ALLOW_HTTP", "1")
    with pytest.raises(ConfigurationError):
        client_of(FAR, allow_http=False)
    monkeypatch.setenv("FOTAPOOL_ALLOW_HTTP", "maybe")
    with pytest.raises(ConfigurationError, match="FOTAPOOL_ALLOW_HTTP 'maybe': use 1 or 0"):
        Client()


@both
def test_a_proxy_beyond_this_machine_is_beyond_it() -> None:
    with pytest.raises(ConfigurationError, match="in clear text"):
        client_of("http://127.0.0.1:1", proxy="http://10.0.0.1:3128")
    client_of("https://127.0.0.1:1", proxy="http://10.0.0.1:3128")


@both
def test_a_transport_of_ours_is_asked_too_and_again_with_each_origin() -> None:
    with pytest.raises(ConfigurationError, match="in clear text"):
        client_of(FAR, transport=Urllib3Transport())
    client_of(FAR, transport=Urllib3Transport(Network(allow_http=True)))
    with emulated():
        client = client_of(FAR)  # as long as it stands in, nothing leaves this process
    with pytest.raises(ConfigurationError, match="in clear text"):
        client.licenses.status("a")


def test_a_command_says_what_to_do() -> None:
    command = [sys.executable, "-m", "fotapool", "refusals", "a", "--base-url", FAR]
    for more, code, said in (
        ([], 2, "set FOTAPOOL_ALLOW_HTTP=1"),
        (["--allow-http"], 2, "missing: client_id"),
    ):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_an_emulator_that_others_reach_tells_them_to_allow_it() -> None:
    with Emulator() as emulator:
        assert emulator.environment("http://10.0.0.1:9")["FOTAPOOL_ALLOW_HTTP"] == "1"
        assert "FOTAPOOL_ALLOW_HTTP" not in emulator.environment("http://127.0.0.1:9")
        assert "FOTAPOOL_ALLOW_HTTP" not in emulator.environment()


# --- redirects ---------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 No", "308 Yes"])
def test_no_byte_follows_a_redirect(status: str) -> None:
    other = Service()
    with other.running() as elsewhere:
        to = f"Location: {elsewhere.replace('//', '//u:secret@')}/api?token=secret"
        made = Service(answer=lambda asked: answered(b"", status, to))
        with made.running() as url, client_of(url) as client:
            for call in (
                lambda: client.licenses.status("a"),
                lambda: client.licenses.assign("a", [A]),
            ):
                with pytest.raises(UnexpectedAnswer) as caught:
                    call()
                assert str(caught.value) == (
                    f"{status[:3]} Redirected to '{elsewhere}/api', where no login is sent: "
                    "set base_url to where the API itself answers"
                )
                assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert (len(made.seen), other.connections) == (2, 0)


# --- time --------------------------------------------------------------------------------------


@both
def test_an_answer_that_drips_is_given_up_in_time(fota_live: Live) -> None:
    """A limit for each read alone would wait for all 20 pieces."""
    with fota_live.new_client(timeout_s=0.4, max_retries=0) as client:
        client.licenses.status(ACCOUNT)
        fota_live.faults.slow_drip(6)
        began_s = time.monotonic()
        with pytest.raises(TimedOut, match=r"did not answer within 0\.4 s") as caught:
            client.licenses.status(ACCOUNT)
        took_s = time.monotonic() - began_s
    assert caught.value.sent is True
    assert took_s < 5


@both
@pytest.mark.parametrize("door", ["fota", "fota_live"])
def test_the_time_is_for_the_whole_answer_through_both_doors(
    request: pytest.FixtureRequest, door: str
) -> None:
    fota: Emulator | Live = request.getfixturevalue(door)
    client = fota.new_client(timeout_s=0.5, max_retries=0)
    client.licenses.status(ACCOUNT)
    fota.faults.slow_drip(0.1)
    assert client.licenses.status(ACCOUNT).used == 0
    fota.faults.slow_drip(3)
    with pytest.raises(TimedOut) as caught:
        client.licenses.assign(ACCOUNT, fota.devices[:1])
    assert caught.value.sent is True
    client.close()


@both
def test_headers_that_drip_are_given_up_in_time() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        while read_request(connection) is not None:
            for byte in answered(b"", "200 OK", *["X-Filler: " + "x" * 50] * 9):
                connection.sendall(bytes([byte]))
                if over.wait(0.02):
                    return

    with listening(drip) as port, client_of(f"http://127.0.0.1:{port}", timeout_s=0.4) as client:
        with pytest.raises(TimedOut) as caught:
            client.licenses.assign("a", [A])
        over.set()
    assert caught.value.sent is True


@both
def test_a_host_that_does_not_take_a_connection_has_got_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many addresses it has: the time is for all of them together."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        resolve = socket.getaddrinfo

        def resolve_to_many(host: str, *more: Any, **named: Any) -> list[Any]:
            found = resolve("127.0.0.1" if host == "localhost" else host, *more, **named)
            return found * 20 if host == "localhost" else found

        monkeypatch.setattr(socket, "getaddrinfo", resolve_to_many)
        client = client_of(f"http://localhost:{port}", timeout_s=0.4)
        began_s = time.monotonic()
        with pytest.raises(TimedOut, match=r"no connection to localhost:\d+ in time") as caught:
            client.licenses.assign("a", [A])
        took_s = time.monotonic() - began_s
        client.close()
        for one in waiting:
            one.close()
    assert caught.value.sent is False
    assert took_s < 4  # 20 times 0.4 s would be 8


def wait(over: threading.Event) -> None:
    over.wait(20)


@both
def test_a_proxy_that_never_opens_the_tunnel_has_sent_nothing_on() -> None:
    over = threading.Event()
    with (
        listening(lambda connection: wait(over)) as port,
        client_of("https://pool.example", proxy=f"127.0.0.1:{port}", timeout_s=0.4) as client,
    ):
        with pytest.raises(TimedOut, match="through the proxy") as caught:
            client.licenses.assign("a", [A])
        over.set()
    assert caught.value.sent is False


# --- connections -------------------------------------------------------------------------------


def all_at_once(client: Any, imeis: list[str]) -> list[str]:
    """An assign of each of these, at the same time; of which device each answer tells."""

    def assign(imei: str) -> str:
        told: str = client.licenses.assign("a", [imei]).verdicts[0].imei
        return told

    with ThreadPoolExecutor(len(imeis)) as pool:
        return list(pool.map(assign, imeis))


@both
def test_no_more_connections_than_were_allowed(caplog: pytest.LogCaptureFixture) -> None:
    made = Service()
    imeis = [f"{at:015d}" for at in range(12)]
    with made.running() as url, client_of(url, connections_max=2) as client:
        for _ in range(3):
            assert all_at_once(client, imeis) == imeis
    assert made.connections <= 2
    assert {record.name for record in caplog.records} <= {"fotapool.client"}


@both
def test_waiting_for_a_connection_has_an_end() -> None:
    release = threading.Event()

    def slowly(asked: Asked) -> bytes:
        release.wait(20)
        return asked.reply()

    made = Service(answer=slowly)
    with (
        made.running() as url,
        client_of(url, connections_max=1, timeout_s=20) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(all_at_once, client, [A])
        assert within(10, lambda: len(made.seen) == 1)
        hasty = client.with_options(timeout_s=0.3)
        with pytest.raises(TimedOut) as caught:
            hasty.licenses.assign("a", ["000000000000042"])
        release.set()
        assert first.result() == [A]
    assert caught.value.sent is False
    assert len(made.seen) == 1


def hanging_up(ended: threading.Semaphore) -> Handle:
    """Answers once and closes the connection, which `ended` tells."""

    def once(connection: socket.socket) -> None:
        asked = read_request(connection)
        if asked is not None:
            connection.sendall(asked.reply())
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            ended.release()

    return once


@both
def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    """A write over it would end in doubt, though it never left."""
    ended = threading.Semaphore(0)

    with listening(hanging_up(ended)) as port, client_of(f"http://127.0.0.1:{port}") as client:
        for _ in range(5):
            assert client.licenses.assign("a", [A]).verdicts[0].imei == A
            assert ended.acquire(timeout=10)


def test_nor_one_that_the_event_loop_had_no_turn_to_see_close() -> None:
    ended = threading.Semaphore(0)

    async def calls(port: int) -> None:
        async with AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            max_retries=0,
            access_token="b",
            session_token="s",
        ) as client:
            for _ in range(5):
                await client.licenses.assign("a", [A])
                assert ended.acquire(timeout=10)

    with listening(hanging_up(ended)) as port:
        asyncio.run(calls(port))


@both
@pytest.mark.parametrize("verb", ["status", "assign"])
def test_nothing_below_sends_a_request_again(fota_live: Live, verb: str) -> None:
    with fota_live.new_client(max_retries=0) as client:
        client.licenses.status(ACCOUNT)
        fota_live.requests.clear()
        fota_live.faults.connection_cut()
        call = getattr(client.licenses, verb)
        with pytest.raises(ConnectionFailed) as caught:
            call(ACCOUNT, *[[A]] * (verb == "assign"))
    assert len(fota_live.requests) == 1
    assert caught.value.sent is True


IN_TASKS = """
import asyncio
from fotapool import AsyncClient

async def main():
    async with AsyncClient() as client:
        print((await client.licenses.status("a")).used)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "program",
    [
        "from fotapool import Client; print(Client().licenses.status('a').used)",
        "from fotapool import Client\nwith Client() as c: print(c.licenses.status('a').used)",
        IN_TASKS,
    ],
    ids=["left open", "closed", "AsyncClient"],
)
def test_nothing_is_said_at_the_end_of_a_program_over_tls(
    authority: Authority, program: str
) -> None:
    with Service(serving_tls(authority.sign("server", "127.0.0.1"))).running() as url:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={
                "FOTAPOOL_BASE_URL": url,
                "FOTAPOOL_ACCESS_TOKEN": "b",
                "FOTAPOOL_SESSION_TOKEN": "s",
                "SSL_CERT_FILE": str(authority.file),
                "PYTHONPATH": str(SOURCE),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("1\n", "")
