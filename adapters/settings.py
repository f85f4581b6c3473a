"""Settings: one typed object, from defaults, a TOML file and the environment, the later winning.

The file is named by OUTCRY_SETTINGS, else it is `settings.toml` in the user's configuration directory, where it may be absent. Its keys are
the fields of Settings; in the environment they are in capitals after OUTCRY_: `partition = 3` or OUTCRY_PARTITION=3.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from platformdirs import user_config_path, user_data_path

from domain.columns import MAX_BATCH_COMMANDS, MAX_PARTITION

PREFIX: Final = "OUTCRY_"
FILE_VARIABLE: Final = PREFIX + "SETTINGS"
OTHER_VARIABLES: Final = frozenset({FILE_VARIABLE, PREFIX + "DATA"})  # ours, but no settings
MAX_FILE_BYTES: Final = 65_536


class BadSettings(ValueError):
    """A setting that cannot be: source, key, value, and what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set.

    store                  folder of the record; its default is in the user's data directory
    partition              number of the trading partition
    inbox_commands         commands that may wait for the writer; beyond, senders are told that it is full
    snapshot_every_events  events after which the writer keeps a snapshot
    """

    store: Path
    partition: int = 1
    inbox_commands: int = 4 * MAX_BATCH_COMMANDS
    snapshot_every_events: int = 5_000_000


class Bounds(NamedTuple):
    """Lowest and highest value of a number."""

    low: int
    high: int


NUMBERS: Final = {
    "partition": Bounds(1, MAX_PARTITION),
    "inbox_commands": Bounds(MAX_BATCH_COMMANDS, 2**24),
    "snapshot_every_events": Bounds(100_000, 2**40),
}
KEYS: Final = tuple(field.name for field in fields(Settings))
assert set(KEYS) == {"store", *NUMBERS}, "every number has bounds, and the store is the only path"


def load(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Settings as *environment* and the file (that one, if given) have them. Raises BadSettings, OSError when the file cannot be read."""
    values: dict[str, Any] = {"store": user_data_path("outcry") / "store"}
    for key, value, source in (*_of_file(environment, file), *_of_environment(environment)):
        values[key] = _path(key, value, source) if key == "store" else _number(key, value, source)
    return Settings(**values)


def _of_file(environment: Mapping[str, str], file: Path | None) -> Iterator[tuple[str, Any, str]]:
    """Key, value and source of what the file sets."""
    named = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    path = named or user_config_path("outcry") / "settings.toml"
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if named is None:
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


def _number(key: str, value: object, source: str) -> int:
    """A number, from TOML or from text."""
    low, high = NUMBERS[key]
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise BadSettings(f"{source}: {key} is {_shown(value)}; right would be a whole number from {low} to {high}")
    return number


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
