"""What people call the things of a partition: symbols, assets, accounts; and how many decimals they have."""

from __future__ import annotations

from decimal import Decimal

from adapters.decimals import from_minor
from adapters.names import Asset, BadName, Names
from domain.partition import Partition
from domain.queries import Instrument, highest_account, instruments


class Directory:
    """The instruments of a partition by symbol, and assets by number. Built when asked for: it is as of that moment."""

    def __init__(self, partition: Partition, names: Names) -> None:
        self.names = names
        self.highest_account = highest_account(partition)
        self.instruments = {listed.symbol: listed for listed in instruments(partition)}
        self._assets: dict[int, tuple[str, int]] = {}
        for listed in self.instruments.values():
            self._assets.setdefault(listed.base_asset, (listed.symbol, listed.base_scale))
            self._assets.setdefault(listed.quote_asset, (f"asset {listed.quote_asset}", listed.quote_scale))
        self._assets |= {asset.number: (name, asset.scale) for name, asset in names.assets.items()}

    def instrument(self, symbol: str) -> Instrument:
        """What is traded as *symbol*. Raises BadName."""
        if symbol not in self.instruments:
            some = ", ".join(sorted(self.instruments)[:10])
            raise BadName(f"no instrument {symbol!r}; there {'are ' + some if some else 'are none, list one with `outcry list`'}")
        return self.instruments[symbol]

    def asset(self, name: str) -> Asset:
        """The asset called *name*. Raises BadName."""
        for number, (known, scale) in self._assets.items():
            if known == name:
                return Asset(number, scale)
        return self.names.asset(name)

    def asset_or_new(self, name: str, scale: int) -> Asset:
        """The asset called *name*; when there is none, the next free number with *scale* decimals is called so from now on."""
        known = {known: Asset(number, digits) for number, (known, digits) in self._assets.items()}
        if name not in known:
            known[name] = Asset(max(self._assets, default=0) + 1, scale)
            self._assets[known[name].number] = (name, scale)
        return known[name]

    def money(self, asset: int, minor_units: int) -> tuple[str, Decimal]:
        """Name of *asset*, and an amount of it for people."""
        name, scale = self._assets.get(asset, (f"asset {asset}", 0))
        return name, from_minor(minor_units, scale)
