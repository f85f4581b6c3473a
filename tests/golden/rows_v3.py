"""The rows of the golden blocks of schema version 3, which added fee rates that change."""

from __future__ import annotations

from typing import Final

COMMANDS: Final = {
    "SetFeeRates": (14, 1_700_000_000_123_456_789, 3, 70_001, 0, 77, 0, 0, 0, 0, 0, 0, 0, 104_857_700, 0, 0),
}
EVENTS: Final = {
    "FeeRatesSet": (330_712_481_808, 100, 100, 777, 0, 0, 0, 0),
}
