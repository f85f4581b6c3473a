"""Column numbers, widths and bounds of every vector of a partition's state. A row is `row * WIDTH`, a value `row + COLUMN`."""

from __future__ import annotations

from typing import Final

# Bounds. Every product the kernel forms is asserted to fit here, once: compiled integers wrap, interpreted ones grow.
MAX_PRICE_TICKS: Final = 2**31 - 1
MAX_QUANTITY_LOTS: Final = 2**31 - 1
MAX_NOTIONAL: Final = 2**42
MAX_BALANCE: Final = 2**60
MAX_AMOUNT: Final = 2**62 - 1
MAX_UNITS: Final = 2**31 - 1
MAX_FEE_RATE: Final = 100_000
FEE_UNIT: Final = 1_000_000
DAY_NS: Final = 86_400_000_000_000
MAX_TIME_NS: Final = 2**62 - 1
MAX_ACCOUNT: Final = 10_485_760
MAX_INSTRUMENT: Final = 65_535
MAX_ASSET: Final = 65_535
MAX_SESSION: Final = 4_095
MAX_WALLETS: Final = 2**25
MAX_LIVE_ORDERS: Final = 2**21
MAX_ACCOUNT_ORDERS: Final = 65_536
MAX_PAGES: Final = 2**18
MAX_BATCH_COMMANDS: Final = 16_384
MASS_CANCEL_BOUND: Final = 16_384
EXPIRY_BOUND: Final = 4_096
RESERVE_EVERY: Final = 64  # commands for which the vectors make room at a time
SESSION_WINDOW: Final = 1_024
ID_WINDOW: Final = 65_536
assert SESSION_WINDOW & (SESSION_WINDOW - 1) == 0, "a power of two, so that a sequence finds its place by a mask"
assert RESERVE_EVERY & (RESERVE_EVERY - 1) == 0, "a power of two, so that it is seen by a mask"
MAX_PROBE: Final = 128
assert MAX_PRICE_TICKS * MAX_QUANTITY_LOTS < 2**63, "value in ticks x lots fits before it is compared with its bound"
assert MAX_NOTIONAL * MAX_FEE_RATE < 2**63 and MAX_NOTIONAL * (FEE_UNIT + MAX_FEE_RATE) < 2**63, "fees and affordable lots fit"
assert MAX_NOTIONAL * FEE_UNIT + FEE_UNIT < 2**63, "a budget in fee units fits"
assert MAX_BALANCE + MAX_AMOUNT < 2**63 and MAX_TIME_NS + 2 * DAY_NS < 2**63, "a deposit and a day end can be added before they are checked"

# An order number: partition x 2^53 + generation x 2^24 + slot.
SLOT_MASK: Final = 2**24 - 1
GENERATION_STEP: Final = 2**24
GENERATION_MASK: Final = 2**53 - 2**24
PARTITION_SHIFT: Final = 53
MAX_PARTITION: Final = 511
assert MAX_LIVE_ORDERS < SLOT_MASK and MAX_PARTITION * 2**PARTITION_SHIFT + 2**PARTITION_SHIFT < 2**63, "an order number fits"

# The words of a big vector begin 40 bytes into a cache line (16 of malloc, 24 of the object). So the columns of its rows begin with
# number LINE, and a row of 8 words lies in one line instead of two; the last row reaches LINE words beyond its width.
LINE: Final = 3

# orders: one slot per live order; row 0 is nobody's
ORDER_WIDTH: Final = 16
NUMBER: Final = 3  # its number; minus the last number of the slot while free
OWNER: Final = 4
BOOK_SIDE: Final = 5  # instrument * 2 + side
PRICE: Final = 6  # ticks
LOTS: Final = 7  # open
EARLIER: Final = 8  # neighbours in the queue of its price
LATER: Final = 9  # next free slot while free
HELD: Final = 10  # minor units: of the quote asset for a buy, of the base asset for a sell
LEVEL: Final = 11  # level it rests at; 0 while incoming
PAID_AHEAD: Final = 12  # fees paid beyond the exact sum, in 10^-6 minor units
PAYING_WALLET: Final = 13  # the wallet it holds from: quote for a buy, base for a sell
RECEIVING_WALLET: Final = 14  # the other one
ORDER_TERMS: Final = (
    15  # terms of the command (bits 0-9), budget flag (bit 10), listed flag (bit 11), place in the expiry heap (from bit 16)
)
CLIENT_ID: Final = 16
NEWER: Final = 17  # neighbours among the account's live orders
OLDER: Final = 18
BUDGET_FLAG: Final = 1_024
LISTED_FLAG: Final = 2_048
TERMS_MASK: Final = 65_535
PLACE_UNIT: Final = 65_536

# accounts: row = account number; row 0 is the venue
ACCOUNT_WIDTH: Final = 8
STATUS: Final = 3
GROUP: Final = 4
OPEN_LIMIT: Final = 5
LOTS_LIMIT: Final = 6
NOTIONAL_LIMIT: Final = 7
OPEN_ORDERS: Final = 8
NEWEST: Final = 9
FIRST_WALLET: Final = 10

# wallets: what one account has of one asset, minor units; row 0 is nobody's
WALLET_WIDTH: Final = 4
ASSET: Final = 3
AVAILABLE: Final = 4
RESERVED: Final = 5  # held by live orders
WALLET_OWNER: Final = 6

# instruments: row = instrument number
INSTRUMENT_WIDTH: Final = 24
STATE: Final = 0
BASE_ASSET: Final = 1
QUOTE_ASSET: Final = 2
QUOTE_UNITS: Final = 3
BASE_UNITS: Final = 4
BAND_LOW: Final = 5
BAND_HIGH: Final = 6
LOTS_BOUND: Final = 7
NOTIONAL_BOUND: Final = 8
MAKER_RATE: Final = 9
TAKER_RATE: Final = 10
DAY_END: Final = 11
FEE_WALLET: Final = 12
SYMBOL: Final = 13
TICK_SIZE: Final = 14
LOT_SIZE: Final = 15
SCALES: Final = 16  # base scale + 256 * quote scale
VALUE_BOUND: Final = 17  # NOTIONAL_BOUND in ticks x lots
HELD_RATE: Final = 18  # for which a buy holds funds: no fee rate is above it

# sides: one row per side of a book; row = BOOK_SIDE. A rank orders prices: the lower, the better (buys: MAX_PRICE_TICKS - price).
SIDE_WIDTH: Final = 16
BEST_RANK: Final = 0
BEST_LEVEL: Final = 1
NEAR_PAGE: Final = 2  # pages used last, by the low bits of their number: number + 1, and where it is
NEAR_ROW: Final = 3
NEAR_MASK: Final = 3  # four of them: 128 ticks
NO_RANK: Final = 2**31

# pages: 32 neighbouring levels of one side; only pages with orders exist; row 0 is nobody's
PAGE_WIDTH: Final = 132
PAGE_BITS: Final = 0  # bit i: level i has orders
PAGE_SIDE: Final = 1
PAGE_NUMBER: Final = 2  # rank // 32
PAGE_NEXT_FREE: Final = 3
PAGE_LEVELS: Final = 4
LEVEL_WIDTH: Final = 4
HEAD: Final = 0
TAIL: Final = 1
LEVEL_LOTS: Final = 2
LEVEL_ORDERS: Final = 3
TREE_DEPTH: Final = 6  # 32-way nodes above the pages: 26 bits of page number

# expiries: heap of rows (expires_ns, entry, order)
EXPIRY_WIDTH: Final = 3
DUE: Final = 0
ENTRY: Final = 1
EXPIRING: Final = 2

# sessions: last sequence and where its outcomes are; outcomes: rows (sequence, kind, detail)
SESSION_WIDTH: Final = 2
LAST_SEQUENCE: Final = 0
OUTCOMES: Final = 1
OUTCOME_WIDTH: Final = 3
# ids: ring of rows (account, command id, kind, detail)
ID_WIDTH: Final = 4

# counters of the state, in a snapshot one vector (domain/snapshot.py)
PARTITION: Final = 0
COUNTERS: Final = 18
