"""`outcry gateway`: the doors of a stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from adapters.cli import options
from adapters.cli.output import Answer, answers

if TYPE_CHECKING:
    from adapters.settings import Settings

_PORT: Final = click.IntRange(1, 65_535)


@click.command()
@click.option("--number", type=click.IntRange(1, 64), help="Which of the stack's gateways to be; else the first that nobody is.")
@click.option("--rest-port", type=_PORT, help="Port of REST; else that of the gateway, else OUTCRY_REST_PORT, else a free one.")
@click.option("--ws-port", type=_PORT, help="Port of WebSockets, likewise.")
@click.option("--demo", is_flag=True, help="With people, instruments and funds to try, made of nothing; says what to type.")
@click.option("--stack", type=click.Path(file_okay=False, path_type=Path), help="Folder of the servers of `outcry stack up`.")
@answers
def gateway(number: int | None, rest_port: int | None, ws_port: int | None, stack: Path | None, *, demo: bool) -> Answer:
    """Open doors to a stack, REST and WebSockets, until SIGTERM or ctrl-C.

    Any number of gateways serve side by side; workers (`outcry serve --profile stack`) trade. Told to end it takes nobody else, answers
    who has asked, tells open sockets to go elsewhere, and ends. Logs go to stderr, a JSON object a line; metrics, liveness and readiness
    are at the port that the line `doors are open` names.
    """
    from dataclasses import replace
    from functools import partial

    from adapters import serving
    from adapters.announce import name_of
    from adapters.doors import slots
    from adapters.doors.stack import process
    from adapters.doors.stack_demo import demonstrated

    settings = options.settings_of(None, profile="stack", stack=stack, rest_port=rest_port, ws_port=ws_port)
    with slots.taken(settings, number or 0) as slot:
        name = settings.worker or f"gateway-{slot.number or name_of(settings)}"
        settings = replace(settings, worker=name, test_mode=settings.test_mode or demo)
        opened = partial(demonstrated, slot=slot, tell=partial(_say, settings)) if demo else partial(process, slot=slot)
        serving.serve(settings, opened)
    return Answer({"worker": name, "gateway": slot.number, "stopped": True}, shown=[])


def _say(settings: Settings, rest: str, websocket: str) -> None:
    """Where the doors are, and what to type."""
    import shlex

    from adapters.doors import keys
    from adapters.doors.seed import INSTRUMENTS, PEOPLE
    from adapters.stack.authority import FILE as AUTHORITY

    trusting = f"--cacert {shlex.quote(str(settings.folder / AUTHORITY))} " if settings.front else ""
    alice = shlex.quote(str(keys.path_of(settings.folder, "alice")))
    lines = (
        "",
        f"This gateway is open: REST {rest}/v1 (described at {rest}/docs), WebSocket {websocket}",
        f"Keys and passwords of {', '.join(PEOPLE)}: {settings.folder / keys.FOLDER}",
        f"{', '.join(INSTRUMENTS)} are open as soon as a worker owns their partition (`outcry serve --profile stack`). Try:",
        f"  curl {trusting}{rest}/v1/instruments/ACME/book",
        f"  outcry order buy ACME 5 @ 13.00 --key {alice}",
        f"  outcry watch ACME --key {alice}",
    )
    click.echo("\n".join(lines), err=True)


COMMANDS = (gateway,)
