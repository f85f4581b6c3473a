"""A venue to try: seeded, its doors open where they were the last time, and what to type said."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from adapters import names
from adapters.doors import keys
from adapters.doors.embedded import doors
from adapters.doors.gateway import Gateway
from adapters.doors.keys import KeyFile
from adapters.doors.seed import FIRM, Person, seed
from adapters.reads.feed import Feed
from adapters.registry import seal
from adapters.registry.aggregates import Account, Asset, Firm
from adapters.registry.credentials import Credentials
from adapters.registry.registry import Registry
from adapters.settings import Settings
from adapters.wiring import RECORD, NoStore
from commands.writer import Writer
from eventstore.ports import BlockLog
from eventstore.sqlite import SqliteLog

FIRST_PORTS: Final = (8080, 8081)
MAKER: Final = "maker"

Robot = Callable[[Path], AbstractContextManager[object]]
"""Trades with the key in a file as long as the context lasts."""


@contextmanager
def demonstrated(settings: Settings, robot: Robot, tell: Callable[[str, str], None], writer: Writer, feed: Feed) -> Iterator[Gateway]:
    """Doors beside *writer*, to a venue with people in it, whose keys lie in the store, and with a *robot* that has the maker's.

    tell   is told the URLs of the doors
    Raises NoStore when the store has another market, OSError.
    """
    kept = keys.kept(settings.store)
    with closing(SqliteLog(settings.store / RECORD)) as log:
        people = seeded(settings, log, feed.partition)
    with doors(_where_it_was(settings, kept), writer, feed) as gateway:
        for person in people:
            keys.write(settings.store, person, *gateway.urls)
        with robot(keys.path_of(settings.store, MAKER)):
            tell(*gateway.urls)
            yield gateway


def seeded(settings: Settings, log: BlockLog, partition: int) -> list[Person]:
    """Register in *log* what is missing of the demonstration. Raises NoStore when *partition* has another market."""
    registry = Registry(log)
    if registry.find(Firm, FIRM) is None and log.head(partition).seq:
        other = "a folder for the demonstration, like --store venue"
        if settings.profile == "stack":
            other = "another stack, like --stack venue-stack, for `outcry stack up` and `outcry serve`, too; or no --demo"
        raise NoStore(f"{settings.folder} has a market of its own; right would be {other}")
    people = seed(registry, Credentials(registry, seal.of_folder(settings.folder)), partition, keys.kept(settings.folder))
    _name(settings, registry)
    return people


def _name(settings: Settings, registry: Registry) -> None:
    """So that commands that read the record call things as the registry does."""
    known = names.load(settings.folder)
    known.accounts |= {account.name: account.number for account in registry.all(Account)}
    known.assets |= {asset.name: names.Asset(asset.number, asset.scale) for asset in registry.all(Asset)}
    names.save(settings.folder, known)


def _where_it_was(settings: Settings, kept: Mapping[str, KeyFile]) -> Settings:
    """Ports that nobody set are those of the last time, so that clients find the venue again; free ones when they are taken."""
    urls = next(((each.rest, each.websocket) for each in kept.values()), ())
    before = [urlsplit(url).port or 0 for url in urls] or FIRST_PORTS
    rest, websocket = (port if _is_free(settings.doors_at, port) else 0 for port in before)
    return replace(settings, rest_port=settings.rest_port or rest, ws_port=settings.ws_port or websocket)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return False
    return True
