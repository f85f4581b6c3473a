"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path

import click

STORE_VARIABLE = "OUTCRY_STORE"


def default_store() -> Path:
    """A folder of the user's data directory."""
    from platformdirs import user_data_path

    return user_data_path("outcry") / "store"


store = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_store,
    envvar=STORE_VARIABLE,
    show_default="a folder of your data directory",
    help="Folder of the record.",
)
account = click.option("--account", metavar="NAME", required=True, help="Whose it is: a name of this store, or a number.")


def environment() -> dict[str, str]:
    """The environment, for settings."""
    return dict(os.environ)
