"""Is a command row one that its verb allows? Bounds of every word from the vocabulary, and what bounds cannot say (docs/rules.md 1.2)."""

from __future__ import annotations

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    DAY_NS,
    MAX_AMOUNT,
    MAX_ASSET,
    MAX_BALANCE,
    MAX_FEE_RATE,
    MAX_NOTIONAL,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_TIME_NS,
)
from domain.vectors import words_of
from domain.verbs import (
    ACCOUNT,
    AMOUNT,
    CANCEL_ORDER,
    CHANGE_ACCOUNT,
    CLIENT_ORDER_ID,
    COMMAND_WORDS,
    EXPIRES_NS,
    GTD,
    INSTRUMENT,
    LIST_INSTRUMENT,
    MASS_CANCEL,
    NEW_CLIENT_ORDER_ID,
    NEW_ORDER,
    NOTE_UNREADABLE,
    ORDER,
    PRICE_TICKS,
    QUANTITY_LOTS,
    RECEIVED_NS,
    REDUCE_ORDER,
    REPLACE_ORDER,
    SEQUENCE,
    SESSION,
    SET_FEE_RATES,
    SET_INSTRUMENT_STATE,
    TERMS,
    UNREADABLE,
    VERB,
    VERBS,
)

LAST_VERB: Final = SET_FEE_RATES
WELL_FORMED: Final = 16  # the word after the last: no word is wrong
ANY: Final = 2**63 - 1
BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "received_ns": (0, MAX_TIME_NS),
    "price_ticks": (0, MAX_PRICE_TICKS),
    "quantity_lots": (0, MAX_QUANTITY_LOTS),
    "asset": (1, MAX_ASSET),
    "amount": (1, MAX_AMOUNT),
    "budget": (0, MAX_AMOUNT),
    "tick_size_e9": (1, ANY),
    "lot_size_e9": (1, ANY),
    "day_end_ns": (0, DAY_NS - 1),
    "error": (1, len(UNREADABLE) - 1),
}
NAMES_ACCOUNT: Final = ("OpenAccount", "ChangeAccount", "Deposit", "Withdraw", "NewOrder", "CancelOrder", "ReduceOrder", "ReplaceOrder")
NAMES_INSTRUMENT: Final = ("ListInstrument", "SetInstrumentState", "SetFeeRates", "NewOrder")
LISTING_BOUNDS: Final[dict[str, tuple[int, int]]] = {"max_quantity_lots": (1, MAX_QUANTITY_LOTS), "max_notional": (1, MAX_NOTIONAL)}


def bounds() -> vec[i64]:
    """Lowest and highest value of every word, at (verb * 16 + word) * 2; a word that the verb does not name must be 0."""
    table = vec[i64]([0] * ((LAST_VERB + 1) * COMMAND_WORDS * 2))
    for verb in VERBS:
        for field in verb.fields:
            low, high = BOUNDS.get(field.name, (0, ANY))
            if verb.code == LIST_INSTRUMENT:
                low, high = LISTING_BOUNDS.get(field.name, (low, high))
            if (field.name == "account" and verb.name in NAMES_ACCOUNT) or (field.name == "instrument" and verb.name in NAMES_INSTRUMENT):
                low = 1
            place = (verb.code * COMMAND_WORDS + field.word) * 2
            table[place] = low
            table[place + 1] = high if field.bits == 64 else table[place + 1] + (2**field.bits - 1) * 2**field.shift
        table[verb.code * COMMAND_WORDS * 2] = verb.code
        table[verb.code * COMMAND_WORDS * 2 + 1] = verb.code
    return table


def malformed_word(table: vec[i64], rows: vec[i64], row: i64) -> i64:
    """The first word that is wrong in the command at *row*, or WELL_FORMED. *table* is what `bounds` returned."""
    verb = rows[row + VERB]
    if verb == NEW_ORDER and is_plain_order(rows, row):
        return WELL_FORMED
    if verb <= 0 or verb > LAST_VERB:
        return VERB
    first = wrong_relation(rows, row, verb)
    column: i64 = 0
    while column < first:
        value = rows[row + column]
        place = (verb * COMMAND_WORDS + column) * 2
        if value < table[place] or value > table[place + 1]:
            return column
        column += 1
    return first


def malformed_rows(commands: bytes) -> list[tuple[int, int]]:
    """(row, first wrong word) of every malformed row of a batch, ascending; [] is the usual answer."""
    table = bounds()
    rows = words_of(commands, 0, len(commands))
    found: list[tuple[int, int]] = []
    row: i64 = 0
    while row < i64(len(rows)):
        wrong = malformed_word(table, rows, row)
        if wrong != WELL_FORMED:
            found.append((row // COMMAND_WORDS, wrong))
        row += COMMAND_WORDS
    return found


def is_plain_order(rows: vec[i64], row: i64) -> bool:
    """Surely a well-formed NewOrder? The short form of the same rules, for the row that is almost every row."""
    received_ns = rows[row + RECEIVED_NS]
    session = rows[row + SESSION]
    sequence = rows[row + SEQUENCE]
    price_ticks = rows[row + PRICE_TICKS]
    lots = rows[row + QUANTITY_LOTS]
    amount = rows[row + AMOUNT]
    terms = rows[row + TERMS]
    none = rows[row + ORDER] | rows[row + EXPIRES_NS]
    none |= rows[row + NEW_CLIENT_ORDER_ID] | rows[row + 14] | rows[row + 15]
    signs = received_ns | session | sequence | price_ticks | lots | amount | terms | rows[row + CLIENT_ORDER_ID]
    return (
        none == 0
        and signs >= 0
        and (sequence > 0 or session == 0)
        and rows[row + ACCOUNT] > 0
        and rows[row + INSTRUMENT] > 0
        and received_ns <= MAX_TIME_NS
        and price_ticks <= MAX_PRICE_TICKS
        and lots <= MAX_QUANTITY_LOTS
        and amount <= MAX_AMOUNT
        and are_order_terms(terms)
        and (terms >> 2) & 7 != GTD
    )


def are_order_terms(terms: i64) -> bool:
    """Is every enumeration in the terms of a NewOrder one of its values?"""
    return 0 <= terms < 1024 and (terms >> 2) & 7 <= 4 and (terms >> 5) & 3 <= 2 and (terms >> 7) & 7 <= 4


def wrong_relation(rows: vec[i64], row: i64, verb: i64) -> i64:
    """The first word that is wrong by its enumeration or against other words, or WELL_FORMED."""
    if rows[row + SESSION] > 0 and rows[row + SEQUENCE] == 0:
        return SEQUENCE
    terms = rows[row + TERMS]
    if verb == NEW_ORDER:
        if not are_order_terms(terms):
            return TERMS
        if ((terms >> 2) & 7 == GTD) != (rows[row + EXPIRES_NS] != 0):
            return EXPIRES_NS
    elif verb == CANCEL_ORDER or verb == REDUCE_ORDER or verb == REPLACE_ORDER:
        if (rows[row + CLIENT_ORDER_ID] == 0) == (rows[row + ORDER] == 0):
            return ORDER
    elif verb == MASS_CANCEL:
        if rows[row + ACCOUNT] == 0 and rows[row + INSTRUMENT] == 0:
            return INSTRUMENT
        if terms == 3:
            return TERMS
    elif verb == SET_INSTRUMENT_STATE:
        if not 1 <= terms <= 4:
            return TERMS
    elif verb == CHANGE_ACCOUNT:
        if not 1 <= terms <= 3:
            return TERMS
    elif verb == NOTE_UNREADABLE:
        if not is_symbol(terms):
            return TERMS
    elif verb == SET_FEE_RATES:
        if not are_rates(rows[row + 13]):
            return 13
    elif verb == LIST_INSTRUMENT:
        return wrong_listing(rows, row)
    return WELL_FORMED


def wrong_listing(rows: vec[i64], row: i64) -> i64:
    """The first packed or related word of a ListInstrument that is wrong, or WELL_FORMED."""
    if not is_symbol(rows[row + 6]):
        return 6
    assets = rows[row + 7]
    base, quote, base_scale, quote_scale = assets & 65535, (assets >> 16) & 65535, (assets >> 32) & 255, assets >> 40
    if assets < 0 or base == 0 or quote == 0 or base == quote or base_scale > 18 or quote_scale > 18:
        return 7
    band = rows[row + 10]
    low = band & MAX_PRICE_TICKS
    if band < 0 or low < 1 or low > band >> 31 or band >> 31 > MAX_PRICE_TICKS:
        return 10
    units = rows[row + 14]
    lots = rows[row + 11]
    if units > 0 and 0 < lots <= MAX_QUANTITY_LOTS and (units >> 31) <= MAX_PRICE_TICKS and lots * (units >> 31) > MAX_BALANCE:
        return 11
    if not are_rates(rows[row + 13]):
        return 13
    if units < 0 or units & MAX_PRICE_TICKS == 0 or units >> 31 == 0 or units >> 31 > MAX_PRICE_TICKS:
        return 14
    return WELL_FORMED


def are_rates(packed: i64) -> bool:
    """Are both fee rates within their bound?"""
    return packed >= 0 and packed & 1048575 <= MAX_FEE_RATE and packed >> 20 <= MAX_FEE_RATE


def is_symbol(packed: i64) -> bool:
    """1 to 8 printable ASCII characters, then zeros only."""
    if packed <= 0:
        return False
    rest = packed
    while rest != 0:
        character = rest & 255
        if character < 33 or character > 126:
            return False
        rest >>= 8
    return True
