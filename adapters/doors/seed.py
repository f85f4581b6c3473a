"""A venue to begin with, for who wants to see one: a firm, some people with keys, three instruments, funds. In test mode only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import msgspec

from adapters import listing, names
from adapters.registry.aggregates import Account, ApiKey, Asset, Firm, Listing, Role, User
from adapters.registry.credentials import Credentials, scopes_of
from adapters.registry.registry import Act, Registry

BY: Final = Act("demo", "a venue to begin with")
FIRM: Final = "demo"
USD: Final = 1
FUNDED: Final = 100_000_000_00  # cents
SHARES: Final = 1_000_000
PEOPLE: Final[dict[str, Role]] = {
    "alice": "trader",
    "bob": "trader",
    "maker": "market_maker",
    "taker": "trader",
    "olga": "operator",
    "carla": "compliance",
    "root": "admin",
}
TRADERS: Final = [name for name, role in PEOPLE.items() if role in {"trader", "market_maker"}]
INSTRUMENTS: Final = {"ACME": "12.50", "BOLT": "101.00", "CRUX": "0.85"}  # and about what they are worth


class Person(msgspec.Struct, frozen=True):
    """Somebody of the demonstration: his key and his password."""

    user: str
    role: Role
    key: str
    secret: str
    passphrase: str
    password: str


def seed(registry: Registry, credentials: Credentials, partition: int, kept: Mapping[str, Person]) -> list[Person]:
    """Register what is missing. Who has the key that was *kept* of him goes on with it; of everybody else keys and password are new."""
    if registry.find(Firm, FIRM) is None:
        _register(registry, partition)
    _complete(registry, partition)
    return [_person(registry, credentials, name, role, kept.get(name)) for name, role in PEOPLE.items()]


def _register(registry: Registry, partition: int) -> None:
    pays = names.Asset(USD, 2)
    listings = [Listing(symbol, partition, _terms(number, symbol, pays), "", "", *BY) for number, symbol in enumerate(INSTRUMENTS, 1)]
    registry.add(
        Firm(FIRM, *BY),
        *(User(name, FIRM, [role], *BY) for name, role in PEOPLE.items()),
        *(Account(name, number, FIRM, [name], 0, *BY) for number, name in enumerate(TRADERS, 1)),
        Asset("USD", USD, 2, *BY),
        *(Asset(symbol, USD + number, 0, *BY) for number, symbol in enumerate(INSTRUMENTS, 1)),
        *listings,
    )


def _complete(registry: Registry, partition: int) -> None:
    """Funds, and open markets, where nothing happened since the registration."""
    for name in TRADERS:
        if registry.get(Account, name).version == 1:
            registry.change(Account, name, lambda account: _fund(account, partition))
    for symbol in INSTRUMENTS:
        if registry.get(Listing, symbol).version == 1:
            registry.change(Listing, symbol, lambda listed: listed.ask_state("open", *BY))


def _fund(account: Account, partition: int) -> None:
    account.move_funds(partition, USD, FUNDED, *BY)
    for number in range(1, 1 + len(INSTRUMENTS)):
        account.move_funds(partition, USD + number, SHARES, *BY)


def _terms(number: int, symbol: str, pays: names.Asset) -> dict[str, int | str]:
    """As the registry keeps them."""
    return listing.terms(listing.command(number, symbol, names.Asset(USD + number, 0), pays, tick="0.01", lot="1", maker=100, taker=200))


def _person(registry: Registry, credentials: Credentials, name: str, role: Role, kept: Person | None) -> Person:
    good = {each.key: each for each in registry.all(ApiKey) if each.user == name and each.expires_ns == 0}
    if kept is not None and kept.key in good:
        return kept
    for old in good:
        registry.change(ApiKey, old, lambda key: key.end(1, *BY))
    password = secrets.token_urlsafe(12)
    credentials.set_password(name, password, BY)
    issued = credentials.issue(name, BY, scopes=scopes_of(registry.get(User, name)))
    return Person(name, role, *issued, password)
