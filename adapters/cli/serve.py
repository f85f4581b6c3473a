"""Serving: the process that trades until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from adapters.cli import options
from adapters.cli.output import Answer, answers

if TYPE_CHECKING:
    from adapters.settings import Settings


@click.command()
@options.record
@click.option("--i-know-this-loses-data", is_flag=True, default=None, help="Serve on servers that are set to forget what was acknowledged.")
@answers
def serve(settings: Settings, *, i_know_this_loses_data: bool | None) -> Answer:
    """Trade until SIGTERM or ctrl-C.

    Then it drains, commits, hands its partitions over and keeps a snapshot. Logs go to stderr, a JSON object a line; metrics, liveness
    and readiness are at the port that the first line names.

    Embedded it is one process with one partition in a SQLite file, and opens doors beside it: REST and WebSockets. In a stack it is a
    worker: it follows every partition in Postgres, owns those that the consumer group in Kafka gives it, and relays their blocks.
    """
    from dataclasses import replace
    from functools import partial

    from adapters import serving, wiring

    served = settings if i_know_this_loses_data is None else replace(settings, i_know_this_loses_data=i_know_this_loses_data)
    opened: serving.Opened = wiring.serving
    if served.profile == "embedded":  # a worker of a stack opens no doors, and would begin two seconds later for having read them
        from adapters.doors.embedded import doors

        opened = partial(wiring.serving, beside=partial(doors, served))
    return Answer({"worker": serving.serve(served, opened), "profile": served.profile, "stopped": True}, shown=[])


COMMANDS = (serve,)
