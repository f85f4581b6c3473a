"""`outcry readers`: the standbys that answer what is asked of the record's past, as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from adapters.cli import options
from adapters.cli.output import Answer, Table, answers

if TYPE_CHECKING:
    from adapters.settings import Settings


@click.command()
@options.record
@answers
def readers(settings: Settings) -> Answer:
    """How the readers are that the settings name.

    Of each its circuit (open: it is not asked, and why), how many blocks it lacks of the partition in which it lags most, and how many
    connections a process has to it at most. Exit code 1 when one of them does not answer.
    """
    from contextlib import closing

    from adapters import history
    from adapters.settings import BadSettings

    if not settings.readers:
        raise BadSettings("no readers are set; right would be connection strings of standbys: `outcry stack up --standbys 3` writes them")
    with closing(history.pool(settings)) as pool:
        found = [each._asdict() | {"positions": {str(key): seq for key, seq in each.positions.items()}} for each in pool.heard()]
        trouble = pool.trouble
    for each in found:
        each["trouble"] = trouble.get(str(each["name"]), "")
    columns = ("name", "circuit", "lag_blocks", "share", "trouble")
    table = Table(("reader", "circuit", "behind", "connections", "trouble"), [[each[column] for column in columns] for each in found])
    ok = all(each["circuit"] == "closed" for each in found)
    return Answer({"ok": ok, "readers": found}, [table], ok=ok)


COMMANDS = (readers,)
