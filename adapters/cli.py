"""`outcry …`: the command line."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """An exchange core that forgets nothing."""


@main.command()
def demo() -> None:
    """A simulated market, recorded, read back and proved."""
