"""`fotapool serve`: the license server on a port."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import Field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fotapool.cli._options import (
    IN_MEMORY,
    F,
    clock,
    db_option,
    emit,
    emit_json,
    emit_table,
    note,
    option,
    output_options,
)
from fotapool.model import ConfigurationError
from fotapool.server.settings import Settings

if TYPE_CHECKING:
    from fotapool.store import GroupedStore

_SOURCES = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT: "default",
}


def _settings_options(command: F) -> F:
    """An option for each setting, in order."""
    for setting in reversed(fields(Settings)):
        command = _settings_option(setting)(command)
    return command


def _settings_option(setting: Field[Any]) -> Callable[[F], F]:
    bounds = setting.metadata
    kind: Any = type(setting.default)
    if bounds["choices"]:
        kind = click.Choice(bounds["choices"])
    elif kind is int:
        kind = click.IntRange(bounds["at_least"], bounds["at_most"])
    elif kind is float:
        kind = click.FloatRange(bounds["at_least"], bounds["at_most"])
    name = "--" + setting.name.replace("_", "-")
    return option(name, type=kind, default=setting.default, help=bounds["meaning"])


@click.command()
@db_option()
@_settings_options
@option("--print-config", is_flag=True, help="Show each setting and where it came from.")
@output_options
@click.pass_context
def serve(
    context: click.Context,
    /,
    db: str,
    print_config: bool,
    json: bool,
    **values: Any,
) -> None:
    """Serve the license API until SIGTERM or Ctrl-C."""
    settings = Settings(**values)
    if print_config:
        _print_config(context, {"db": db, **values}, json)
    else:
        _serve(db, settings, json)


def _serve(db: str, settings: Settings, json: bool) -> None:
    from fotapool.server.log import set_up_logging
    from fotapool.server.process import base_url, bind
    from fotapool.server.workers import Workers
    from fotapool.store import is_postgres, open_store

    if settings.workers > 1 and not is_postgres(db):
        raise ConfigurationError(
            f"--workers {settings.workers} needs PostgreSQL: one process serves an SQLite file"
        )
    with closing(open_store(db, clock=clock)) as store:
        has_accounts = bool(store.read(lambda directory: directory.accounts()))
        with bind(settings.host, settings.port) as listening:
            announce = partial(
                _announce, base_url(listening, settings), db, has_accounts, settings, json
            )
            if settings.workers == 1:
                _run(store, settings, listening, announce)
                return
            store.close()
            set_up_logging(settings.log_format, settings.log_level)
            serve_one = partial(_serve_one, db, settings)
            Workers(serve_one, listening, settings.workers).run(announce)


def _serve_one(
    db: str, settings: Settings, listening: socket.socket, started: Callable[[], object]
) -> None:
    """What each of several processes does."""
    from fotapool.store import open_store

    with closing(open_store(db, clock=clock)) as store:
        _run(store, settings, listening, started)


def _run(
    store: GroupedStore,
    settings: Settings,
    listening: socket.socket,
    started: Callable[[], object],
) -> None:
    from fotapool.server.log import set_up_logging
    from fotapool.server.process import Server

    set_up_logging(settings.log_format, settings.log_level)
    server = Server(store, settings, clock=clock, random=os.urandom)
    server.run(listening, started=started)


def _announce(url: str, db: str, has_accounts: bool, settings: Settings, json: bool) -> None:
    from fotapool.store import shown_url

    if not settings.loopback_only and not settings.ssl_certfile:
        note(
            f"warning: {settings.host} can be reached from other machines, and secrets cross the "
            "network unencrypted; use --ssl-certfile, or a proxy that does"
        )
    if not has_accounts:
        note(_hint(db))
    if json:
        emit_json({"url": url, "db": shown_url(db)})
    else:
        emit(f"listening on {url} with {shown_url(db)}; Ctrl-C stops it")


def _hint(db: str) -> str:
    from fotapool.store import shown_url

    if db == IN_MEMORY:
        return (
            "no accounts, and none can be made: this database is in memory and ends with the "
            "server; give --db sqlite:///PATH, or use fotapool demo --db sqlite:///:memory:"
        )
    return (
        "no accounts yet; make one with: fotapool admin account create 0000123456-00001 "
        f"--licenses 1000 --db {shlex.quote(shown_url(db))}"
    )


def _print_config(context: click.Context, values: dict[str, Any], json: bool) -> None:
    sources = {name: _source(context, name) for name in values}
    if json:
        emit_json({name: {"value": values[name], "source": sources[name]} for name in values})
    else:
        rows = [(name, str(values[name]), sources[name]) for name in values]
        emit_table(("SETTING", "VALUE", "FROM"), rows)


def _source(context: click.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return _SOURCES.get(source, "default") if source else "default"
