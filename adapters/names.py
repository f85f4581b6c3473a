"""Names of accounts and assets, which the record knows by number only. They are the doors' matter: a small JSON file beside the record.

    {"accounts": {"alice": 1, "bob": 2}, "assets": {"USD": {"number": 1, "scale": 2}}}

Nothing depends on the file but the spelling: without it an account is called by its number.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "names.json"


class BadName(ValueError):
    """A name that means nothing here, or a file of names that is none: what it is and what would be right."""


class Asset(msgspec.Struct, frozen=True):
    """Number of an asset, and the decimal digits of one unit."""

    number: int
    scale: int


class Names(msgspec.Struct):
    """Who is who in one store."""

    accounts: dict[str, int] = {}
    assets: dict[str, Asset] = {}

    def account(self, name: str) -> int:
        """Number of the account *name*, which may be a number itself. Raises BadName."""
        if name in self.accounts:
            return self.accounts[name]
        if name.isdecimal():
            return int(name)
        raise BadName(f"no account {name!r}; there {'are ' + ', '.join(sorted(self.accounts)) if self.accounts else 'are numbers only'}")

    def asset(self, name: str) -> Asset:
        """The asset *name*. Raises BadName."""
        if name not in self.assets:
            raise BadName(f"no asset {name!r}; there {'are ' + ', '.join(sorted(self.assets)) if self.assets else 'are none with a name'}")
        return self.assets[name]

    def new_account(self, name: str, highest: int = 0) -> int:
        """A number for *name*: the one it has, else the next, beyond *highest* too. Raises BadName for what could be taken for a number."""
        if not name.strip() or name.isdecimal():
            raise BadName(f"{name!r} cannot name an account; right would be a word")
        return self.accounts.setdefault(name, max([highest, *self.accounts.values()]) + 1)

    def account_name(self, number: int) -> str:
        """What account *number* is called: its name, else its number."""
        return next((name for name, known in self.accounts.items() if known == number), str(number))

    def asset_name(self, number: int) -> str:
        """What asset *number* is called: its name, else its number."""
        return next((name for name, known in self.assets.items() if known.number == number), str(number))


def load(folder: Path) -> Names:
    """The names of the store in *folder*; none when it has no file. Raises BadName when the file is no such file, OSError."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Names)
    except FileNotFoundError:
        return Names()
    except msgspec.DecodeError as wrong:
        raise BadName(f"{path}: {wrong}; mend it, or remove it and use numbers") from None


def save(folder: Path, names: Names) -> None:
    """Replace the file as a whole. Raises OSError."""
    new = folder / f"{FILE}.{os.getpid()}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(names)))
    new.replace(folder / FILE)
