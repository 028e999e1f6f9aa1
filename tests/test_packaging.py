"""The wheel as a user installs it: in a new venv, outside the checkout, with and without extras.

Dependencies come from this environment by a link each, so that no test needs the network.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import typed_program
from fotapool import AsyncClient
from fotapool.testing import Emulator, InProcessTransport
from test_docs import blocks, exports, running

ROOT = Path(__file__).parent.parent
SITE = Path(sysconfig.get_path("purelib"))
CORE = ["msgspec", "urllib3"]
CLI = ["click", "rich", "markdown-it-py", "mdurl", "pygments"]
SERVER = [
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "anyio",
    "idna",
    "h11",
    "typing_extensions",
]

PYTEST = ["pytest", "pluggy", "iniconfig", "packaging"]

NewVenv = Callable[[list[str]], Path]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture
def new_venv(wheel: Path, tmp_path: Path) -> NewVenv:
    def make(distributions: list[str]) -> Path:
        folder = tmp_path / "venv"
        venv.create(folder, with_pip=False)
        python = folder / "bin" / "python"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "--python",
                str(python),
                "install",
                "--quiet",
                "--no-index",
                "--no-deps",
                str(wheel),
            ],
            check=True,
            capture_output=True,
        )
        (site,) = folder.glob("lib/python*/site-packages")
        for name in distributions:
            for part in {
                file.parts[0] for file in metadata.files(name) or [] if ".." not in file.parts
            }:
                if not (site / part).exists():
                    (site / part).symlink_to(SITE / part)
        return folder

    return make


def run(folder: Path, *command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    clean = {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "HOME": str(cwd),
        "TMPDIR": str(cwd),
        **more,
    }
    return subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_wheel_holds_what_it_should(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        told = file.read(next(name for name in names if name.endswith("METADATA"))).decode()

    assert {"fotapool/py.typed", "fotapool/store/migrations/0001_initial.sql"} <= set(names)
    assert not [
        name for name in names if not name.startswith(("fotapool/", "fotapool-0.1.0.dist-info/"))
    ]
    assert "License-Expression: MIT" in told
    assert re.findall(r"^Requires-Dist: ([a-z0-9]+)[^;\n]*$", told, re.MULTILINE) == [
        "msgspec",
        "urllib3",
    ]
    assert set(re.findall(r"^Provides-Extra: (\w+)$", told, re.MULTILINE)) == {
        "server",
        "async",
        "postgres",
        "cli",
        "proof",
        "testing",
        "all",
    }


def test_the_installed_wheel_runs_the_demo(new_venv: NewVenv, tmp_path: Path) -> None:
    done = run(new_venv(CORE + CLI + SERVER), "fotapool", "demo", "--once", "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["used"] == 9550


def test_the_installed_wheel_runs_the_readmes_doors(new_venv: NewVenv, tmp_path: Path) -> None:
    """The three doors together: a pool of one's own, served, and used by the SDK's snippet."""
    folder = new_venv(CORE + CLI + SERVER + PYTEST)
    snippet, first_test, _ = blocks("README.md", "python")
    pool, emulate, *_ = (block for block in blocks("README.md", "sh") if "fotapool" in block)
    *setup, serve = pool.splitlines()
    made = run(folder, "bash", "-e", "-c", "\n".join(setup), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    secrets = dict(line.split() for line in made.stdout.splitlines() if len(line.split()) == 2)
    variables = {
        f"FOTAPOOL_{name.upper()}": value for name, value in secrets.items() if name != "name"
    }

    path = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
    with running(["bash", "-c", "exec " + serve], tmp_path, "listening", **path) as said:
        answered = run(
            folder,
            "python",
            "-c",
            snippet,
            cwd=tmp_path,
            FOTAPOOL_BASE_URL=said[0].split()[2],
            **variables,
        )
    assert (
        answered.stdout
        == "1 of 1000 used, 999 free\n99000342573052 malformed Invalid Device IMEI.\n"
    ), answered.stderr
    with running(["bash", "-c", "exec " + emulate], tmp_path, "/_emulator/", **path) as said:
        answered = run(folder, "python", "-c", snippet, cwd=tmp_path, **exports(said))
    assert answered.stdout.startswith("1 of 1000 used"), answered.stderr
    (tmp_path / "test_first.py").write_text(first_test)
    tested = run(folder, "python", "-m", "pytest", "-q", "-W", "error", cwd=tmp_path)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


def test_the_core_alone_is_the_sdk_and_says_what_the_rest_needs(
    new_venv: NewVenv, tmp_path: Path
) -> None:
    folder = new_venv(CORE)
    imported = run(
        folder,
        "python",
        "-W",
        "error",
        "-c",
        "import fotapool; fotapool.Client(access_token='x'); print(fotapool.__version__)",
        cwd=tmp_path,
    )
    assert (imported.stdout, imported.stderr) == ("0.1.0\n", "")

    called = run(
        folder,
        "python",
        "-W",
        "error",
        "-c",
        "import asyncio, fotapool\n"
        "client = fotapool.AsyncClient(access_token='x', session_token='x')\n"
        "try: asyncio.run(client.licenses.status('a'))\n"
        "except fotapool.ConfigurationError as error: print(error)",
        cwd=tmp_path,
    )
    assert called.stdout == 'AsyncClient needs aiohttp: pip install "fotapool[async]"\n', (
        called.stderr
    )

    for command in (["fotapool", "serve"], ["python", "-m", "fotapool"]):
        done = run(folder, *command, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (3, "")
        assert (
            done.stderr
            == 'fotapool: the command line needs click; install it with: pip install "fotapool[cli]"\n'
        )


def test_the_cli_without_the_server_says_what_to_install(new_venv: NewVenv, tmp_path: Path) -> None:
    folder = new_venv(CORE + CLI)
    assert run(folder, "fotapool", "--help", cwd=tmp_path).returncode == 0
    made = run(
        folder, "fotapool", "admin", "account", "create", "x", "--licenses", "1", cwd=tmp_path
    )
    assert made.stdout == "account x has 1 licenses (MRC)\n", made.stderr
    done = run(folder, "fotapool", "admin", "signing-key", "k.pem", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        3,
        'fotapool: this needs cryptography; install it with: pip install "fotapool[proof]"\n',
    )
    for command in ("serve", "demo"):
        done = run(folder, "fotapool", command, "--db", "sqlite:///other.db", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (3, "")
        assert (
            done.stderr
            == 'fotapool: this needs uvicorn; install it with: pip install "fotapool[server]"\n'
        )


# --- types -------------------------------------------------------------------------------------

PROGRAM = ROOT / "tests" / "typed_program.py"
STRICT = {
    "typeCheckingMode": "strict",
    "pythonVersion": "3.11",
    "reportUnnecessaryTypeIgnoreComment": "error",
}


def everything() -> list[str]:
    """Every distribution of this environment, but those that are none of a user's."""
    names = {distribution.name for distribution in metadata.distributions()}
    return sorted(names - {"fotapool", "pip", "setuptools"})


def check(folder: Path, cwd: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a checker of this environment as if it were installed in that one."""
    command = str(Path(sys.executable).with_name(tool))
    clean = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": os.environ.get("HOME", str(cwd))}
    return subprocess.run(
        [command, *arguments],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_the_types_of_the_wheel_are_complete(new_venv: NewVenv, tmp_path: Path) -> None:
    folder, empty = new_venv(everything()), tmp_path / "empty"
    empty.mkdir()
    # It looks where the first python of the PATH does.
    done = check(folder, empty, "pyright", "--verifytypes", "fotapool", "--ignoreexternal")

    missing = [line.strip() for line in done.stdout.splitlines() if " - error: " in line]
    assert not missing, "\n".join(missing)
    assert f"{folder}/lib" in done.stdout, done.stdout  # the wheel, and no checkout
    assert "Type completeness score: 100%" in done.stdout
    assert done.returncode == 0


def test_a_typed_program_is_checked_by_mypy(new_venv: NewVenv, tmp_path: Path) -> None:
    folder, place = new_venv(CORE), tmp_path / "program"
    place.mkdir()
    (place / "program.py").write_text(PROGRAM.read_text())
    python = str(folder / "bin" / "python")
    done = check(folder, place, "mypy", "--strict", "--python-executable", python, "program.py")

    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr


def test_a_typed_program_is_checked_by_pyright(new_venv: NewVenv, tmp_path: Path) -> None:
    folder, place = new_venv(CORE), tmp_path / "program"
    place.mkdir()
    (place / "program.py").write_text(PROGRAM.read_text())
    (place / "pyrightconfig.json").write_text(json.dumps(STRICT))
    done = check(folder, place, "pyright", "--pythonpath", str(folder / "bin" / "python"))

    assert "0 errors, 0 warnings" in done.stdout, done.stdout + done.stderr


def test_a_typed_program_runs(fota: Emulator) -> None:
    imeis = list(fota.devices[:2])
    client = typed_program.watched(InProcessTransport(fota.exchange, fota.clock))

    assert typed_program.blocking(fota.client, fota.account, imeis) == 2
    assert asyncio.run(typed_program.coroutines(AsyncClient(), fota.account, imeis)) == 2
    assert repr(client) == "Client(base_url='http://fota.test')"


SCRIPT = ROOT / "scripts" / "venv"


def fake_python(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def bare_path(tmp_path: Path) -> Path:
    """A PATH with the tools that any system has, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "cat", "cut", "cksum", "dirname", "rm", "env"):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    return folder


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_no_suitable_python_is_one_line(tmp_path: Path) -> None:
    folder = bare_path(tmp_path)
    fake_python(folder, "python3", "exit 1")
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env={"PATH": str(folder), "VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert (
        done.stderr
        == "fotapool: no Python 3.11 or newer found; install one (Debian: apt-get install python3 python3-venv) or set PYTHON\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_a_python_without_venv_is_one_line(tmp_path: Path) -> None:
    folder = bare_path(tmp_path)
    fake_python(folder, "python3", 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac')
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env={"PATH": str(folder), "VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert (
        done.stderr
        == "fotapool: python3 has no venv or ensurepip; install them (Debian: apt-get install python3.12-venv)\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_first_suitable_python_is_taken_and_a_good_venv_is_left_alone(tmp_path: Path) -> None:
    folder, target = bare_path(tmp_path), tmp_path / "venv"
    (folder / "mkdir").symlink_to("/usr/bin/mkdir")
    (folder / "chmod").symlink_to("/usr/bin/chmod")
    made = 'case "$*" in *version_info*print*) echo 3.13;; *--version*) echo Python 3.13.0;; "-m venv "*) mkdir -p "$3/bin"; printf "#!/bin/sh\\nexit 0\\n" > "$3/bin/python"; chmod +x "$3/bin/python";; esac'
    fake_python(folder, "python3.11", "exit 1")
    fake_python(folder, "python3.13", made)
    environment = {"PATH": str(folder), "VENV": str(target)}
    first, second, dev, run_again = (
        subprocess.run(
            ["/bin/sh", str(SCRIPT), level],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for level in ("run", "run", "dev", "run")
    )

    assert "installing into" in first.stderr
    assert "Python 3.13.0" in first.stderr
    assert (second.returncode, second.stderr) == (0, "")
    assert "installing into" in dev.stderr
    assert run_again.stderr == ""
