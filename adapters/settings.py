"""Settings: one typed object, from defaults, files of TOML and the environment, the later winning.

The user's file is named by OUTCRY_SETTINGS, else it is `settings.toml` in the user's configuration directory, where it may be absent. Its
keys are the fields of Settings; in the environment they are in capitals after OUTCRY_: `partition = 3` or OUTCRY_PARTITION=3. With the
profile `stack`, `settings.toml` in the folder of the servers is read before it: `outcry stack up` wrote there where they listen.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NoReturn, get_args

from platformdirs import user_config_path, user_data_path

from domain.columns import MAX_BATCH_COMMANDS, MAX_PARTITION

PREFIX: Final = "OUTCRY_"
FILE: Final = "settings.toml"
FILE_VARIABLE: Final = PREFIX + "SETTINGS"
OTHER_VARIABLES: Final = frozenset({FILE_VARIABLE, PREFIX + "DATA"})  # ours, but no settings
MAX_FILE_BYTES: Final = 65_536

Profile = Literal["embedded", "stack"]


class BadSettings(ValueError):
    """A setting that cannot be: source, key, value, and what would be right."""


class Reader(NamedTuple):
    """A server that answers questions about the record: its connection string, and how much of them it gets beside others."""

    dsn: str
    weight: int = 1


class GatewayPorts(NamedTuple):
    """Where a gateway of a stack listens on the loopback interface."""

    rest: int
    ws: int


def _stack_folder() -> Path:
    """In the user's data directory; for root elsewhere, because the servers run as a user who may not look into root's."""
    return Path("/var/lib/outcry/stack") if os.geteuid() == 0 else user_data_path("outcry") / "stack"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set.

    store                   folder of the embedded record; its default is in the user's data directory
    partition               number of the trading partition; in a stack, of the instruments that are not named
    inbox_commands          commands that may wait for the writer; beyond, senders are told that it is full
    snapshot_every_events   events after which the writer keeps a snapshot
    profile                 embedded: one process, SQLite; stack: Postgres and Kafka
    stack                   folder of the servers that `outcry stack up` runs; else in the user's data directory, root's in /var/lib/outcry
    postgres                connection string of the record, as libpq reads it; better a passfile in it than a password
    standby                 connection string of the standby, for `outcry verify`; empty: there is none
    readers                 standbys that answer what may be asked of the record's past; none: the primary does
    reader_connections      of one process to all readers and the primary, at most
    primary_share           of those, connections to the primary at most, for what no standby can answer; 0: it is left alone
    kafka                   brokers: host:port, more after commas
    redis                   URL of the Redis that holds views; with a socket's path in it: unix:///PATH
    opensearch              URL of the OpenSearch that holds the audit index
    audit_days              days that the audit index keeps, by the time of the market; the record and the archive keep all
    archive                 URL of the archive: a folder, or s3://BUCKET/PREFIX; empty: the folder `archive` beside the names
    topic_prefix            before the names of our topics and groups, where brokers serve others too
    cluster                 id that record and topics must carry; empty: whatever the record says
    partitions              trading partitions of the stack: numbers 1 to partitions
    instruments             symbol -> its trading partition
    worker                  what this worker is called in logs and metrics; empty: host and process
    http_port               port of metrics, liveness and readiness on the loopback interface; 0: one that is free
    webhook_key             from which the keys are made that alerts to webhooks are signed with; a secret
    webhooks_anywhere       alerts may be posted within this machine and private networks, and without TLS
    smtp                    mail server for alerts: smtp://HOST:PORT, smtp+starttls://USER:PASSWORD@HOST:PORT or smtps://…
    mail_from               address that alerts are mailed from
    rest_port               port of REST on the loopback interface; 0: one that is free
    ws_port                 port of WebSockets, likewise
    doors_at                IPv4 address that doors listen at; they speak no TLS, so outside loopback they need doors_without_tls
    gateways                ports of each gateway of the stack, by its number from 1: "8080:8081", REST and WebSockets; none: free ones
    proxies                 addresses, with commas between, of proxies that are believed when they say where a request comes from
    front                   URL of the proxy that clients come in by, where `outcry stack up` runs one
    doors_without_tls       a proxy that speaks TLS stands before the doors, in a network of its own
    test_mode               traders may bring and take funds themselves, made of nothing
    i_know_this_loses_data  go on where a server's settings would lose what was acknowledged
    """

    store: Path
    partition: int = 1
    inbox_commands: int = 4 * MAX_BATCH_COMMANDS
    snapshot_every_events: int = 5_000_000
    profile: Profile = "embedded"
    stack: Path = field(default_factory=_stack_folder)
    postgres: str = field(default="", repr=False)
    standby: str = field(default="", repr=False)
    readers: tuple[Reader, ...] = field(default=(), repr=False)
    reader_connections: int = 32
    primary_share: int = 2
    kafka: str = ""
    redis: str = field(default="", repr=False)
    opensearch: str = field(default="", repr=False)
    audit_days: int = 90
    archive: str = field(default="", repr=False)
    topic_prefix: str = ""
    cluster: str = ""
    partitions: int = 1
    instruments: Mapping[str, int] = field(default_factory=dict)
    worker: str = ""
    http_port: int = 0
    webhook_key: str = field(default="", repr=False)
    webhooks_anywhere: bool = False
    smtp: str = field(default="", repr=False)
    mail_from: str = ""
    rest_port: int = 0
    ws_port: int = 0
    doors_at: str = "127.0.0.1"
    gateways: tuple[GatewayPorts, ...] = ()
    proxies: str = ""
    front: str = ""
    doors_without_tls: bool = False
    test_mode: bool = False
    i_know_this_loses_data: bool = False

    @property
    def folder(self) -> Path:
        """Where names of people and things lie: beside the record when it is embedded, else in the folder of the stack."""
        return self.store if self.profile == "embedded" else self.stack

    @property
    def archive_url(self) -> str:
        """Where the archive is."""
        return self.archive or str(self.folder / "archive")

    def partition_of(self, symbol: str) -> int:
        """The trading partition to which an instrument belongs."""
        return self.instruments.get(symbol, self.partition)


class Bounds(NamedTuple):
    """Lowest and highest value of a number."""

    low: int
    high: int


NUMBERS: Final = {
    "partition": Bounds(1, MAX_PARTITION),
    "partitions": Bounds(1, MAX_PARTITION),
    "inbox_commands": Bounds(MAX_BATCH_COMMANDS, 2**24),
    "snapshot_every_events": Bounds(100_000, 2**40),
    "http_port": Bounds(0, 65_535),
    "rest_port": Bounds(0, 65_535),
    "ws_port": Bounds(0, 65_535),
    "reader_connections": Bounds(1, 65_536),
    "primary_share": Bounds(0, 1_024),
    "audit_days": Bounds(1, 36_500),
}
PATHS: Final = frozenset({"store", "stack"})
FLAGS: Final = frozenset({"doors_without_tls", "i_know_this_loses_data", "test_mode", "webhooks_anywhere"})
SECRET: Final = frozenset({"postgres", "standby", "redis", "opensearch", "archive", "webhook_key", "smtp"})
WEIGHTS: Final = Bounds(1, 1_000)
KEYS: Final = tuple(each.name for each in fields(Settings))


def load(environment: Mapping[str, str], file: Path | None = None, /, **given: object) -> Settings:
    """Settings as *given*, else as *environment* and the user's file (that one, if given) have them.

    Raises BadSettings, OSError when a file cannot be read.
    """
    found = [(key, value, "given") for key, value in given.items() if value is not None]
    found = [*_of_user_file(environment, file), *_of_environment(environment), *found]
    settings = _settings(found)
    if settings.profile == "stack":
        settings = _settings([*_of_file(settings.stack / FILE, required=False), *found])
    for symbol, partition in settings.instruments.items():
        if settings.profile == "stack" and partition > settings.partitions:
            raise BadSettings(f"instruments: {symbol} is assigned to partition {partition}; right would be 1 to {settings.partitions}")
    if not IPv4Address(settings.doors_at).is_loopback and not settings.doors_without_tls:
        raise BadSettings(
            f"doors_at is {settings.doors_at}: passwords and orders would cross a network in clear; right would be 127.0.0.1 behind a "
            "proxy that speaks TLS, or doors_without_tls = true as well, where nobody but such a proxy is in that network"
        )
    enough = len(settings.readers) + settings.primary_share
    if settings.readers and settings.reader_connections < enough:
        raise BadSettings(
            f"reader_connections is {settings.reader_connections}, too few for {len(settings.readers)} readers and primary_share = "
            f"{settings.primary_share}; right would be {enough} or more"
        )
    return settings


def _settings(found: list[tuple[str, Any, str]]) -> Settings:
    values: dict[str, Any] = {"store": user_data_path("outcry") / "store"}
    for key, value, source in found:
        values[key] = _read(key, value, source)
    return Settings(**values)


def _read(key: str, value: object, source: str) -> object:
    if key in PATHS:
        return value if isinstance(value, Path) else _path(key, value, source)
    if key in NUMBERS:
        return _number(key, value, source, NUMBERS[key])
    if key == "profile":
        return _choice(key, value, source)
    if key == "readers":
        return _readers(key, value, source)
    if key == "gateways":
        return _gateways(key, value, source)
    if key == "instruments":
        return _assignments(key, value, source)
    if key in FLAGS:
        return _flag(key, value, source)
    if key == "doors_at":
        return _address(key, value, source)
    if key == "topic_prefix":
        return _topic_prefix(key, value, source)
    return _text(key, value, source)


def _of_user_file(environment: Mapping[str, str], file: Path | None) -> Iterator[tuple[str, Any, str]]:
    """Key, value and source of what the user's file sets."""
    named = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    return _of_file(named or user_config_path("outcry") / FILE, required=named is not None)


def _of_file(path: Path, *, required: bool) -> Iterator[tuple[str, Any, str]]:
    """Key, value and source of what a file sets."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if not required:
            return
        raise BadSettings(f"{path}: there is no such file; right would be a file of settings, or none named by {FILE_VARIABLE}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise BadSettings(f"{path}: more than {MAX_FILE_BYTES} bytes; right would be a few lines of TOML")
    try:
        table = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as wrong:  # no UTF-8, no TOML, a number without end, arrays without end
        raise BadSettings(f"{path}: no TOML ({wrong}); right would be lines like `partition = 1`") from None
    for key, value in table.items():
        if key not in KEYS:
            _unknown(key, str(path), KEYS)
        yield key, value, str(path)


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Key, value and source of what the environment sets. Variables that look like none of ours may be somebody else's."""
    variables = {PREFIX + key.upper(): key for key in KEYS}
    for variable, value in sorted(environment.items()):
        if variable in variables:
            yield variables[variable], value, variable
        elif variable.startswith(PREFIX) and variable not in OTHER_VARIABLES and get_close_matches(variable, variables, cutoff=0.85):
            _unknown(variable, "environment", tuple(variables))


def _number(key: str, value: object, source: str, bounds: Bounds) -> int:
    """A number, from TOML or from text."""
    low, high = bounds
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be a whole number from {low} to {high}")
    return number


def _choice(key: str, value: object, source: str) -> str:
    if value not in get_args(Profile):
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be {' or '.join(get_args(Profile))}")
    return str(value)


def _flag(key: str, value: object, source: str) -> bool:
    """true or false, from TOML or from text."""
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be true or false")
    return value


def _text(key: str, value: object, source: str) -> str:
    """A line of text. A secret one is not shown."""
    if not isinstance(value, str) or not value.isprintable():
        shown = "not what it can be" if key in SECRET else _shown(value)
        raise BadSettings(f"{source}: {key} is {shown}; right would be one line of text")
    return value


def _readers(key: str, value: object, source: str) -> tuple[Reader, ...]:
    """Connection strings, with a weight or without: an array of TOML, or that as text, or a single one as text."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = tomllib.loads(f"{key} = {value}")[key]
        except (ValueError, RecursionError):
            value = None
    array = value if isinstance(value, list) else [value] if isinstance(value, str) and value else [] if value == "" else None
    if array is None:
        raise BadSettings(f'{source}: {key} is not what it can be; right would be ["host=a …", {{dsn = "host=b …", weight = 2}}]')
    return tuple(_reader(f"{key}[{number}]", each, source) for number, each in enumerate(array))


def _reader(key: str, value: object, source: str) -> Reader:
    table = value if isinstance(value, dict) else {"dsn": value}
    for wrong in table.keys() - {"dsn", "weight"}:
        _unknown(wrong, f"{source}: {key}", ("dsn", "weight"))
    dsn = table.get("dsn", "")
    if not isinstance(dsn, str) or not dsn or not dsn.isprintable():
        raise BadSettings(f"{source}: {key} is not what it can be; right would be a connection string of libpq, or one as dsn in a table")
    return Reader(dsn, _number(f"{key}.weight", table.get("weight", 1), source, WEIGHTS))


def _gateways(key: str, value: object, source: str) -> tuple[GatewayPorts, ...]:
    """REST:WS of each: an array of TOML, or text with commas between."""
    texts = value.split(",") if isinstance(value, str) and value else [] if value == "" else value
    if not isinstance(texts, list) or not all(isinstance(each, str) and re.fullmatch("[0-9]{1,5}:[0-9]{1,5}", each) for each in texts):
        raise BadSettings(f'{source}: {key} is {_shown(value)}; right would be ports like ["8080:8081", "8082:8083"]')
    bounds = Bounds(1, 65_535)
    found = tuple(GatewayPorts(*(_number(f"{key}[{n}]", port, source, bounds) for port in text.split(":"))) for n, text in enumerate(texts))
    ports = [port for each in found for port in each]
    if len(set(ports)) < len(ports):
        raise BadSettings(f"{source}: {key} has a port twice; right would be two of its own for each gateway")
    return found


def _address(key: str, value: object, source: str) -> str:
    try:
        return str(IPv4Address(value if isinstance(value, str) else ""))
    except ValueError:
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be an IPv4 address of this machine, like 127.0.0.1") from None


def _topic_prefix(key: str, value: object, source: str) -> str:
    """What may stand in the name of a topic."""
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9._-]{0,64}", value):
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be up to 64 letters, digits, dots, hyphens and underscores")
    return value


def _assignments(key: str, value: object, source: str) -> dict[str, int]:
    """Symbol -> partition: a table of TOML, or `ACME=1,ZETA=2`."""
    table = (
        dict(pair.split("=", 1) for pair in value.split(","))
        if isinstance(value, str) and value.count("=") == value.count(",") + 1
        else value
    )
    if not isinstance(table, dict):
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be a table like `ACME = 1`, or ACME=1,ZETA=2")
    return {symbol: _number(f"{key}.{symbol}", partition, source, NUMBERS["partition"]) for symbol, partition in table.items()}


def _path(key: str, value: object, source: str) -> Path:
    """A folder; `~` is the home directory."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be the path of a folder")
    try:
        return Path(value).expanduser()
    except RuntimeError as wrong:
        raise BadSettings(f"{source}: {key} is {_shown(value)} ({wrong}); right would be a path without ~") from None


def _unknown(key: str, source: str, known: tuple[str, ...]) -> NoReturn:
    close = get_close_matches(key[:100], known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise BadSettings(f"{source}: {_shown(key)} is no setting; {hint}right would be one of {', '.join(known)}")


def _shown(value: object) -> str:
    """*value* for an error: short, whatever it is."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
