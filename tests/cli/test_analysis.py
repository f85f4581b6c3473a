"""`outcry analysis` over a record, as anybody calls it."""

from __future__ import annotations

from tests.cli.conftest import Outcry


def test_a_market_is_analysed_from_its_record(outcry: Outcry) -> None:
    for price in ("12.00", "15.00"):
        outcry("order", "sell", "ACME", 10, "@", price, "--account", "bob")
        assert outcry("order", "buy", "ACME", 10, "@", price, "--account", "alice").code == 0
    ran = outcry("analysis", "--json")
    assert ran.code == 0, ran.err
    (gainer,) = ran.json["gainers"]
    assert (gainer["symbol"], gainer["open"], gainer["last"], gainer["change_percent"]) == ("ACME", 12.0, 15.0, 25.0)
    (active,) = ran.json["most_active"]
    assert (active["turnover"], active["volume"], active["trades"]) == (270.0, 20.0, 2)
    assert ran.json["losers"] == []
    assert [each["record"] for each in ran.json["as_of"]] == [ran.json["as_of"][0]["seq"]]
    assert "change_percent" in outcry("analysis").out


def test_nothing_kept_is_said_with_what_to_do(outcry: Outcry) -> None:
    outcry("order", "buy", "ACME", 10, "@", "12.00", "--account", "alice")
    ran = outcry("analysis", "--kept")
    assert (ran.code, "right would be --profile stack" in ran.err) == (2, True)
