"""Which command rows are well formed: section 1.2 of docs/rules.md, word by word, as plainly as possible."""

from __future__ import annotations

import struct
from typing import Final

from domain import verbs as v

MAX_INT31: Final = 2**31 - 1
DAY_NS: Final = 86_400 * 10**9
NAMED_ORDER: Final = (v.CANCEL_ORDER, v.REDUCE_ORDER, v.REPLACE_ORDER)
NAMED_ACCOUNT: Final = (v.OPEN_ACCOUNT, v.CHANGE_ACCOUNT, v.DEPOSIT, v.WITHDRAW, v.NEW_ORDER, *NAMED_ORDER)
NAMED_INSTRUMENT: Final = (v.LIST_INSTRUMENT, v.SET_INSTRUMENT_STATE, v.SET_FEE_RATES, v.NEW_ORDER)


def parse(row: bytes) -> dict[str, int]:
    """The fields of a well-formed row by name, and "verb"."""
    words = struct.unpack("<16q", row)
    values = {"verb": words[v.VERB]}
    for field in v.VERB_BY_CODE[words[v.VERB]].fields:
        whole = field.bits == 64
        values[field.name] = words[field.word] if whole else (words[field.word] >> field.shift) & ((1 << field.bits) - 1)
    return values


def malformed_word(row: bytes) -> tuple[int, int] | None:
    """(number, value) of the first word that makes *row* malformed; None when it is well formed."""
    words = struct.unpack("<16q", row)
    if words[v.VERB] not in v.VERB_BY_CODE:
        return v.VERB, words[v.VERB]
    values = parse(row)
    if words[v.VERB] == v.LIST_INSTRUMENT and _has_unnamed_bits(words[v.VERB], 14, words[14]):
        values["base_units"] = 0  # no number to multiply by: word 14 itself is to blame, not word 11
    for number in range(1, v.COMMAND_WORDS):
        if _has_unnamed_bits(words[v.VERB], number, words[number]) or not _word_is_right(values, number):
            return number, words[number]
    return None


def _has_unnamed_bits(verb: int, number: int, word: int) -> bool:
    """A word or bit that the verb does not name is not zero, or a whole word is negative."""
    named = 0
    for field in v.VERB_BY_CODE[verb].fields:
        if field.word == number:
            named |= (1 << 63) - 1 if field.bits == 64 else ((1 << field.bits) - 1) << field.shift
    return word & ~named != 0


def _word_is_right(values: dict[str, int], number: int) -> bool:
    verb = values["verb"]
    if verb == v.LIST_INSTRUMENT and number >= v.TERMS:
        return _listing_word_is_right(values, number)
    if number == v.RECEIVED_NS:
        return values["received_ns"] < 2**62
    if number == v.SEQUENCE:
        return values["session"] == 0 or values["sequence"] >= 1
    if number == v.ACCOUNT:
        return verb not in NAMED_ACCOUNT or values["account"] != 0
    if number == v.INSTRUMENT:
        if verb == v.MASS_CANCEL:
            return values["account"] != 0 or values["instrument"] != 0
        if verb in (v.DEPOSIT, v.WITHDRAW):
            return 1 <= values["asset"] <= 65_535
        return verb not in NAMED_INSTRUMENT or values["instrument"] != 0
    if number == v.TERMS:
        return _terms_are_right(values)
    if number == v.ORDER and verb == v.NOTE_UNREADABLE:
        return 1 <= values["error"] <= 7
    if number == v.ORDER:
        return verb not in NAMED_ORDER or (values["client_order_id"] == 0) != (values["order"] == 0)
    if number == v.PRICE_TICKS:
        return values.get("price_ticks", 0) <= MAX_INT31
    if number == v.QUANTITY_LOTS:
        return values.get("quantity_lots", 0) <= MAX_INT31
    if number == v.AMOUNT:
        if verb in (v.DEPOSIT, v.WITHDRAW):
            return 1 <= values["amount"] < 2**62
        return values.get("budget", 0) < 2**62
    if number == v.EXPIRES_NS and verb == v.NEW_ORDER:
        return (values["time_in_force"] == v.GTD) == (values["expires_ns"] != 0)
    if number == 13 and verb == v.SET_FEE_RATES:
        return _are_rates(values)
    return True


def _are_rates(values: dict[str, int]) -> bool:
    return values["maker_rate"] <= 100_000 and values["taker_rate"] <= 100_000


def _terms_are_right(values: dict[str, int]) -> bool:
    verb = values["verb"]
    if verb == v.NEW_ORDER:
        return values["time_in_force"] <= v.GTD and values["post_only"] <= v.POST_ONLY_SLIDE and values["stp"] <= v.STP_DECREMENT
    if verb == v.MASS_CANCEL:
        return values["side_scope"] <= v.ONLY_SELLS
    if verb == v.SET_INSTRUMENT_STATE:
        return v.PRE_OPEN <= values["state"] <= v.CLOSED
    if verb == v.NOTE_UNREADABLE:
        return _is_text(values["topic"])
    if verb == v.CHANGE_ACCOUNT:
        return v.ACCOUNT_OPEN <= values["status"] <= v.ACCOUNT_CLOSED
    return True


def _is_text(word: int) -> bool:
    text = word.to_bytes(8, "little").rstrip(b"\0")
    return len(text) > 0 and all(33 <= character <= 126 for character in text)


def _listing_word_is_right(values: dict[str, int], number: int) -> bool:
    if number == 6:
        return _is_text(values["symbol"])
    if number == 7:
        base, quote = values["base_asset"], values["quote_asset"]
        return base != 0 and quote not in (0, base) and values["base_scale"] <= 18 and values["quote_scale"] <= 18
    if number == 8:
        return values["tick_size_e9"] >= 1
    if number == 9:
        return values["lot_size_e9"] >= 1
    if number == 10:
        return 1 <= values["band_low_ticks"] <= values["band_high_ticks"]
    if number == 11:
        return 1 <= values["max_quantity_lots"] <= MAX_INT31 and values["max_quantity_lots"] * values["base_units"] <= 2**60
    if number == 12:
        return 1 <= values["max_notional"] <= 2**42
    if number == 13:
        return _are_rates(values)
    if number == 14:
        return values["quote_units"] >= 1 and values["base_units"] >= 1
    return 0 <= values["day_end_ns"] < DAY_NS
