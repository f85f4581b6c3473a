"""`outcry stack`: real servers on this machine, in a folder of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers

if TYPE_CHECKING:
    from adapters.stack.server import Server
    from adapters.stack.stack import Stack

folder = click.option(
    "--stack",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda _context, _option, given: given or options.settings_of(None).stack,
    help="Folder of the servers; else OUTCRY_STACK, the file of settings, or a folder of your data directory.",
)


ADDITIONS = ("redis", "opensearch", "nginx")


class Additions(click.ParamType):
    """Servers that are there when asked for: names after commas, `all`, `none`."""

    name = "servers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, bool]:
        """Each of them, and whether it is wanted."""
        names = {"all": ADDITIONS, "none": ()}.get(value, tuple(value.split(",")))
        for wrong in set(names) - set(ADDITIONS):
            self.fail(f"no server {wrong!r}; there are {', '.join(ADDITIONS)}, all, none", param, ctx)
        return {name: name in names for name in ADDITIONS}


@click.group()
def stack() -> None:
    """Real servers on this machine: PostgreSQL, Kafka; for views Redis, OpenSearch; nginx before gateways.

    They listen on 127.0.0.1 only, keep all they have in one folder, and go on after this command and this terminal.
    """


@stack.command()
@click.option("--kafka-nodes", type=click.IntRange(1, 9), help="1; or 3, of which one may die.  [default: 1]")
@click.option("--standby", is_flag=True, help="A second PostgreSQL that streams from the first: as --standbys 1.")
@click.option("--standbys", type=click.IntRange(1, 9), help="So many that stream from it, for whoever reads history.  [default: none]")
@click.option("--synchronous/--asynchronous", default=None, help="Whether a commit waits until a standby has it.  [default: asynchronous]")
@click.option("--partitions", type=click.IntRange(1, 64), help="Trading partitions.  [default: 1]")
@click.option(
    "--with",
    "additions",
    type=Additions(),
    help="What else, with commas between, or all, or none: for views redis (from 10 MB of memory) and opensearch (1.3 GB), nginx for TLS "
    "before gateways.  [default: redis]",
)
@click.option("--gateways", type=click.IntRange(1, 16), help="Ports for so many `outcry gateway`.  [default: 2 with nginx, else none]")
@folder
@answers
def up(folder: Path, *, standby: bool, additions: dict[str, bool] | None, **asked: Any) -> Answer:
    """Install what is missing, start what does not run.

    Returns when all of it serves; a stack that is there is brought back as it was made. Then `outcry serve --profile stack` runs on it.
    """
    from adapters.stack import state
    from adapters.stack.stack import Stack

    _say_what_happens()
    shape = {key: value for key, value in asked.items() if value is not None} | ({"standby": True} if standby else {})
    if state.found(folder):
        made = Stack.open(folder, **shape, **(additions or {}))
    else:
        made = Stack(folder, **shape, **(additions or {"redis": True}))
    made.up()
    answer = _status(made)
    usual = options.settings_of(None).stack.resolve() == made.folder
    lines = ([] if usual else [f"export OUTCRY_STACK={made.folder}"]) + [
        "export OUTCRY_PROFILE=stack",
        "outcry serve             # a worker, here; another terminal for what follows",
        "outcry order buy ACME 100 @ 12.50",
        *([f"outcry gateway           # {made.shape.gateways} of them, each in a terminal"] if made.shape.gateways else []),
        *([f"curl --cacert {made.nginx.authority} {made.nginx.address}/ready"] if made.shape.nginx else []),
        "outcry stack status      # and logs, down",
    ]
    return Answer(answer.fields, [*(answer.shown or []), "Next:", *(f"  {line}" for line in lines)], ok=answer.ok)


@stack.command()
@folder
@answers
def down(folder: Path) -> Answer:
    """Stop the servers; their data stays."""
    from adapters.stack.stack import Stack

    _say_what_happens()
    opened = Stack.open(folder)
    opened.down()
    return Answer({"stack": str(opened.folder), "stopped": list(opened.servers)}, [f"stopped; the data stays in {opened.folder}"])


@stack.command()
@folder
@answers
def status(folder: Path) -> Answer:
    """What runs, where, and whether it serves.

    Exit code 1 when any of it does not.
    """
    from adapters.stack.stack import Stack

    return _status(Stack.open(folder))


@stack.command()
@click.argument("server", required=False)
@click.option("--lines", type=click.IntRange(1, 100_000), default=20, show_default=True, help="The last so many of each.")
@click.option("--follow", is_flag=True, help="Go on as they write, until ctrl-C.")
@folder
@answers
def logs(folder: Path, server: str | None, lines: int, *, follow: bool) -> Answer:
    """What the servers wrote last: all of them, or SERVER."""
    import os

    from adapters.stack.errors import last_lines
    from adapters.stack.stack import Stack

    opened = Stack.open(folder)
    if server and server not in opened.servers:
        raise click.UsageError(f"no server {server!r}; there are {', '.join(opened.servers)}")
    files = {name: each.log for name, each in opened.servers.items() if name == (server or name)}
    if follow:
        os.execvp("tail", ["tail", "-n", str(lines), "-F", *map(str, files.values())])  # noqa: S606, S607 - becomes it
    said = {name: last_lines(log, lines) for name, log in files.items()}
    shown = [line for name, log in files.items() for line in ("", f"{name}: {log}", *said[name])]
    return Answer({name: {"log": str(log), "lines": said[name]} for name, log in files.items()}, shown)


@stack.command("install")
@click.argument("parts", nargs=-1)
@answers
def install_parts(parts: tuple[str, ...]) -> Answer:
    """Install PARTS, all of them unless named: what a stack and its drills need.

    Nothing is started. What is there already stays as it is.
    """
    from adapters.stack.parts import PARTS, install

    _say_what_happens()
    for wrong in set(parts) - set(PARTS):
        raise click.UsageError(f"no part {wrong!r}; there are {', '.join(PARTS)}")
    return Answer({name: str(place) for name, place in install(*parts).items()})


def _status(opened: Stack) -> Answer:
    servers = [{"server": name, **_facts(server)} for name, server in opened.servers.items()]
    columns = ("server", "state", "role", "address", "pid", "log")
    table = Table(columns, [tuple(str(server[column] or "") for column in columns) for server in servers])
    fields = {"stack": str(opened.folder), "ok": all(server["state"] == "serves" for server in servers), "servers": servers}
    return Answer(fields, [table], ok=bool(fields["ok"]))


def _facts(server: Server) -> dict[str, Any]:
    state = "serves" if server.ready() else "does not answer" if server.alive() else "died" if server.died else "stopped"
    return {
        "state": state,
        "role": server.role,
        "address": server.address,
        "pid": server.pid,
        "log": str(server.log),
    }


def _say_what_happens() -> None:
    """Steps that take a while, on stderr."""
    import logging

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            click.echo(record.getMessage(), err=True)

    steps = logging.getLogger("adapters.stack")
    steps.setLevel(logging.INFO)
    steps.handlers[:] = [Echo()]


COMMANDS = (stack,)
