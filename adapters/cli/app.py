"""The command line as a whole: which commands there are, and what becomes of an error. Refuses `python -O`."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import click

from adapters.cli import (
    alerts,
    analysis,
    archive,
    bench,
    bot,
    demo,
    drill,
    feed,
    gateway,
    history,
    keep,
    postgres,
    query,
    read,
    record,
    replay,
    search,
    serve,
    stack,
    top,
    trade,
    venue,
    watch,
)
from adapters.cli.output import BUG, USAGE, WORLD, write_error


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Exit codes:
  0  done
  1  the answer is no: not intact, not equal, refused
  2  wrong use: an option, a name or a value; nothing was done
  3  the world failed: a store or file cannot be read or written, is damaged, belongs to another writer
  4  our mistake: please report it; 130 interrupted
With --json, stdout is one JSON object and nothing else; an error is {"error": ..., "exit": ...}.""",
)
@click.version_option(package_name="outcry")
def outcry() -> None:
    """An exchange core that forgets nothing: commands become events, events are the record, every view is rebuilt from it."""


for family in (
    demo,
    feed,
    trade,
    venue,
    record,
    read,
    replay,
    serve,
    gateway,
    keep,
    alerts,
    analysis,
    archive,
    query,
    history,
    search,
    stack,
    postgres,
    watch,
    bot,
    top,
    drill,
    bench,
):
    for command in family.COMMANDS:
        outcry.add_command(command)


def main() -> NoReturn:
    """What the installed script calls."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns its exit code."""
    as_json = "--json" in arguments
    if not __debug__:
        return write_error(
            "python -O (PYTHONOPTIMIZE) strips the asserts that stop a broken market: run without it", USAGE, as_json=as_json
        )
    try:
        return int(outcry.main(arguments, prog_name="outcry", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as nothing:
        click.echo(nothing.format_message(), err=True)
        return USAGE
    except click.UsageError as wrong:
        hint = f"\n{wrong.ctx.get_usage()}" if wrong.ctx else ""
        return write_error(f"{wrong.format_message()}{hint}", USAGE, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return write_error("interrupted", 130, as_json=as_json)
    except Exception as wrong:  # noqa: BLE001 - the last stop: whatever comes is told apart here
        return _failed(wrong, as_json=as_json)


def _failed(wrong: Exception, *, as_json: bool) -> int:
    """Tell the world's failures, which have a name and say what to do next, from our mistakes, which need a traceback."""
    from adapters.wiring import BAD_INPUT, WORLD_FAILED
    from outcry.client import ApiError, OutcryError, Unavailable

    if isinstance(wrong, BAD_INPUT) or (isinstance(wrong, ApiError) and not isinstance(wrong, Unavailable)):
        return write_error(str(wrong), USAGE, as_json=as_json)
    if isinstance(wrong, (*WORLD_FAILED, OutcryError)):
        return write_error(str(wrong), WORLD, as_json=as_json)
    traceback.print_exc()
    return write_error(f"our mistake: {type(wrong).__name__}: {wrong}", BUG, as_json=as_json)
