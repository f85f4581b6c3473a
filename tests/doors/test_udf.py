"""UDF as a chart library asks it: answers have the fields and types of TradingView's documentation, and say what was traded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.doors.house import Client, Served, served

MINUTE = 60


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A house in which ACME traded 4 at 12.50 and 6 at 12.75."""
    with served(tmp_path_factory.mktemp("house")) as made:
        with made.client("alice") as alice, made.client("bob") as bob:
            for price, quantity in (("12.50", "4"), ("12.75", "6")):
                for client, side in ((alice, "buy"), (bob, "sell")):
                    terms = {"symbol": "ACME", "side": side, "price": price, "quantity": quantity}
                    client.post("/v1/orders", json=terms).raise_for_status()
            alice.get("/v1/instruments/ACME/bars", params={"at_least": made.writer.head.seq}).raise_for_status()
        yield made


@pytest.fixture
def library(traded: Served) -> Iterator[Client]:
    """Who draws, and says nothing of himself."""
    with traded.client() as client:
        yield client


def asked(library: Client, path: str, **params: Any) -> Any:
    answer = library.get(f"/udf/{path}", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer.json()


def test_the_configuration_says_what_is_served(library: Client) -> None:
    config = asked(library, "config")
    flags = {name: config[name] for name in config if name.startswith("supports_")}
    assert flags == {
        "supports_search": True,
        "supports_group_request": False,
        "supports_marks": True,
        "supports_timescale_marks": False,
        "supports_time": True,
    }
    assert config["supported_resolutions"] == ["1S", "1", "5", "15", "60", "360", "1D"]
    assert all(set(each) == {"value", "name", "desc"} for each in config["exchanges"])
    assert all(set(each) == {"value", "name"} for each in config["symbols_types"])


def test_the_time_is_seconds_as_text(library: Client) -> None:
    answer = library.get("/udf/time")
    assert answer.headers["content-type"].startswith("text/plain")
    assert abs(int(answer.text) - time.time()) < 60


@pytest.mark.parametrize("name", ["ACME", "Outcry:ACME"])
def test_a_symbol_says_how_its_prices_are_drawn(library: Client, name: str) -> None:
    info = asked(library, "symbols", symbol=name)
    assert (info["name"], info["ticker"], info["exchange"], info["listed_exchange"]) == ("ACME", "ACME", "Outcry", "Outcry")
    assert (info["minmov"], info["pricescale"], info["volume_precision"]) == (1, 100, 0)
    assert (info["session"], info["timezone"], info["format"], info["currency_code"]) == ("24x7", "Etc/UTC", "price", "USD")
    assert info["has_intraday"] and info["has_seconds"] and info["has_daily"] and not info["has_weekly_and_monthly"]


@pytest.mark.parametrize(
    ("params", "found"),
    [({"query": "ac"}, ["ACME"]), ({"query": "CM"}, ["ACME"]), ({"query": "X"}, []), ({"type": "futures"}, []), ({"exchange": "NYSE"}, [])],
)
def test_a_search_finds_by_any_part_of_a_name(library: Client, params: dict[str, str], found: list[str]) -> None:
    hits = asked(library, "search", **params)
    assert [each["symbol"] for each in hits] == found
    assert all(set(each) == {"symbol", "full_name", "description", "exchange", "ticker", "type"} for each in hits)


@pytest.mark.parametrize(("resolution", "seconds"), [("1", 60), ("15", 900), ("360", 21_600), ("1D", 86_400), ("D", 86_400)])
def test_history_is_columns_of_what_was_traded(library: Client, resolution: str, seconds: int) -> None:
    """Both trades fall into one bar, unless its end came between them: then the sums still agree."""
    now = int(time.time()) + 1
    bars = asked(library, "history", symbol="ACME", resolution=resolution, to=now, **{"from": now - 2 * seconds})
    assert bars["s"] == "ok"
    assert len({len(bars[name]) for name in "tohlcv"}) == 1
    assert all(start % seconds == 0 for start in bars["t"])
    assert (bars["o"][0], max(bars["h"]), min(bars["l"]), bars["c"][-1], sum(bars["v"])) == (12.5, 12.75, 12.5, 12.75, 10)


def test_countback_wins_over_from(library: Client) -> None:
    now = int(time.time()) + 1
    bars = asked(library, "history", symbol="ACME", resolution="1D", to=now, countback=5, **{"from": now - 1})
    assert (bars["s"], sum(bars["v"])) == ("ok", 10)


def test_where_nothing_was_traded_the_last_bar_before_is_named(library: Client) -> None:
    now = int(time.time())
    (start,) = asked(library, "history", symbol="ACME", resolution="1D", to=now + 1)["t"]
    later = {"from": now + 10 * 86_400, "to": now + 20 * 86_400}
    assert asked(library, "history", symbol="ACME", resolution="1D", **later) == {"s": "no_data", "nextTime": start}
    assert asked(library, "history", symbol="ACME", resolution="1D", to=1_000) == {"s": "no_data"}


def test_marks_say_when_it_was_listed_and_since_when_it_is_open(library: Client) -> None:
    marks = asked(library, "marks", symbol="ACME", resolution="1D", to=int(time.time()))
    assert marks["text"] == ["listed", "open since then"]
    assert all(start % 86_400 == 0 for start in marks["time"])
    assert {len(column) for column in marks.values()} == {2}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("symbols?symbol=NOPE", 404),
        ("history?symbol=NOPE&resolution=1&to=1", 404),
        ("history?symbol=ACME&resolution=7&to=1", 400),
        ("history?symbol=ACME&resolution=1&to=99999999999999999999", 400),
        ("history?symbol=ACME&resolution=1", 400),
    ],
)
def test_what_cannot_be_answered_is_an_error_with_its_reason(library: Client, path: str, status: int) -> None:
    answer = library.get(f"/udf/{path}")
    assert (answer.status_code, answer.json()["s"]) == (status, "error"), answer.text
    assert answer.json()["errmsg"]
