"""Clients that mean harm: what each of them costs is bounded, and whoever asks beside them is answered."""

from __future__ import annotations

import gzip
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from math import inf
from typing import Any

import httpx
import pytest

from commands.codec import events, to_row
from commands.messages import CancelOrder, Command, ReduceOrder, ReplaceOrder
from tests.doors.house import Client, Served, served
from tests.waiting import PATIENCE_S

ORDER = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
BEGUN = b"GET /v1/time HTTP/1.1\r\nHost: venue\r\nX-Slow: "
WHOLE = b"GET /v1/time HTTP/1.1\r\nHost: venue\r\n\r\n"
DRIP_S = 0.1


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


def connected(house: Served, said: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", house.port), PATIENCE_S)
    made.sendall(said)
    return made


def is_ended(client: socket.socket) -> bool:
    """Whether the other side ended it, after what it answered."""
    client.settimeout(PATIENCE_S)
    with suppress(ConnectionError):
        while client.recv(65_536):
            pass
    return True


def answer_of(client: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionError):
        while b"\r\n\r\n" not in found and (more := client.recv(65_536)):
            found += more
    return found


def drip(client: socket.socket) -> None:
    """A byte now and then, for as long as the other side takes them."""
    end_s = time.monotonic() + PATIENCE_S
    with suppress(ConnectionError):
        while time.monotonic() < end_s:
            client.sendall(b"x")
            time.sleep(DRIP_S)
        pytest.fail("it took a byte now and then for ever")


def is_served(client: Client) -> bool:
    return client.get("/v1/time").status_code == 200


# -- slow, silent, endless ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [b"", BEGUN, b"POST /v1/sessions HTTP/1.1\r\nHost: venue\r\nContent-Length: 1000\r\n\r\n{", b"\r\n" * 100],
    ids=["nothing", "a head", "a body", "line ends"],
)
def test_a_request_that_does_not_come_is_not_waited_for(house: Served, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(house.patience, "request_s", 0.5)
    with closing(connected(house, said)) as silent:
        assert is_ended(silent)


def test_a_request_that_comes_byte_by_byte_is_cut_and_with_patience_it_is_not(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: who began before, when nobody was cut, is served after."""
    monkeypatch.setattr(house.patience, "request_s", inf)
    with closing(connected(house, BEGUN)) as control:
        while not house.patience.begun:
            time.sleep(0.01)
        monkeypatch.setattr(house.patience, "request_s", 0.5)
        with closing(connected(house, BEGUN)) as slow:
            drip(slow)
        control.sendall(b"x\r\n\r\n")
        assert answer_of(control).startswith(b"HTTP/1.1 200")


def test_who_was_answered_and_then_says_line_ends_for_ever_is_cut(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.patience, "keep_alive_s", 0.5)
    with closing(connected(house, WHOLE)) as endless:
        assert answer_of(endless).startswith(b"HTTP/1.1 200")
        end_s = time.monotonic() + PATIENCE_S
        with suppress(ConnectionError):
            while time.monotonic() < end_s:
                endless.sendall(b"\r\n")
                time.sleep(DRIP_S)
            pytest.fail("it took line ends for ever")


@pytest.mark.parametrize("pieces", [1, 40], ids=["at once", "in pieces"])
def test_a_head_that_is_too_large_is_refused(house: Served, pieces: int) -> None:
    head = BEGUN + b"x" * 40_000 + b"\r\n\r\n"
    size = len(head) // pieces + 1
    with closing(connected(house)) as client:
        with suppress(ConnectionError):
            for at in range(0, len(head), size):
                client.sendall(head[at : at + size])
                time.sleep(0.002)
        assert not answer_of(client).startswith(b"HTTP/1.1 200")
        assert is_ended(client)


def test_of_ten_thousand_half_open_connections_few_stay_and_others_are_served(house: Served) -> None:
    """Clients and server are one process here, and its files are what bounds their number on a small machine."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(10_000, most - house.patience.half_open - 1_000)
    with ExitStack() as opened, house.client() as other:
        for number in range(count):
            opened.enter_context(closing(connected(house, BEGUN)))
            if number % 500 == 0:
                assert is_served(other)
                assert len(house.patience.begun) <= house.patience.half_open
        with house.client() as late:
            assert is_served(late)


def test_beyond_the_bound_the_connection_that_is_idle_longest_gives_way(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.patience, "connections", len(house.patience.ends) + 8)
    with ExitStack() as opened:
        idle = [opened.enter_context(closing(connected(house, WHOLE))) for _ in range(8)]
        assert all(answer_of(each).startswith(b"HTTP/1.1 200") for each in idle)
        with house.client() as late:
            assert is_served(late)


def test_a_thousand_requests_in_one_breath_are_answered_in_turn(house: Served) -> None:
    with closing(connected(house, WHOLE * 1_000)) as client, house.client() as other:
        assert is_served(other)
        found = b""
        while found.count(b"HTTP/1.1 200") < 1_000:
            more = client.recv(65_536)
            assert more, "each is answered"
            found += more


# -- large and deep -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_chunked", [False, True], ids=["said", "chunked"])
def test_a_giant_body_is_refused(house: Served, is_chunked: bool) -> None:
    body = b'{"user": "' + b"x" * 3 * 2**20
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    with house.client() as nobody:
        try:
            answer = nobody.post("/v1/sessions", content=pieces if is_chunked else body)
        except httpx.TransportError:  # it was ended while it was sent
            return
        assert answer.status_code == 413, answer.text


def test_what_is_packed_in_a_body_stays_packed(house: Served) -> None:
    with house.client() as nobody:
        packed = gzip.compress(b'{"user": "' + bytes(50 * 2**20))
        answer = nobody.post("/v1/sessions", content=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
        assert answer.status_code == 400


@pytest.mark.parametrize("begins", ['{"orders":', '{"orders": [{"symbol":', '{"x":', ""])
def test_a_body_that_is_nested_without_end_is_refused(house: Served, begins: str) -> None:
    with house.client("alice") as alice:
        answer = alice.post("/v1/orders/batch", content=begins + "[" * 400_000, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text


# -- not what it seems ----------------------------------------------------------------------------------------------------


def test_of_a_key_that_comes_twice_the_last_counts(house: Served) -> None:
    with house.client("alice") as alice:
        body = '{"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50", "price": "1.00"}'
        done = alice.post("/v1/orders", content=body, headers={"Content-Type": "application/json"}).raise_for_status().json()
        shown = alice.get(f"/v1/orders/{done['order']}", params={"at_least": done["seq"]}).json()
        assert shown["price"] == "1.00"


def test_a_field_that_is_misspelt_is_refused_and_nothing_is_traded_at_the_market(house: Served) -> None:
    before = house.writer.head
    with house.client("alice") as alice:
        terms = {"symbol": "ACME", "side": "sell", "quantity": "5", "priec": "12.50"}
        answer = alice.post("/v1/orders", json=terms)
        assert (answer.status_code, "priec" in answer.json()["detail"]) == (400, True)
    assert house.writer.head == before


@pytest.mark.parametrize("written", ["\uff11\uff12", "\u0661", "+5", "0x10", "1e3", "1_000", " 7", "7\u0000"])
def test_a_number_is_written_in_plain_digits(house: Served, written: str) -> None:
    with house.client("alice") as alice:
        assert alice.post("/v1/orders", json={**ORDER, "command_id": written}).status_code == 400
        assert alice.get("/v1/orders/" + "".join(f"%{byte:02x}" for byte in written.encode())).status_code in {400, 404}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/instruments/A%0d%0aSet-Cookie:%20a=b",
        "/v1/instruments/..%2f..%2fetc%2fpasswd",
        "/v1/instruments/%00",
        "/v1/instruments/%ff%fe",
        "/v1/../docs",
        "/v1/instruments/{symbol}",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_what_a_path_smuggles_in_comes_to_nothing(house: Served, path: str) -> None:
    said = f"GET {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\n\r\n".encode()
    with closing(connected(house, said)) as client:
        answer = answer_of(client)
    assert answer.split(b" ", 2)[1] in {b"400", b"404"}
    assert b"set-cookie" not in answer.lower().partition(b"\r\n\r\n")[0]


def test_a_request_with_two_lengths_is_refused(house: Served) -> None:
    said = b"POST /v1/sessions HTTP/1.1\r\nHost: venue\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + WHOLE
    with closing(connected(house, said)) as client:
        assert answer_of(client).startswith(b"HTTP/1.1 400")
        assert is_ended(client)


# -- overheard and forged -------------------------------------------------------------------------------------------------


def sent_again(client: httpx.Client, request: httpx.Request, **changed: Any) -> httpx.Response:
    """The very request, with its signature."""
    url = changed.get("url", request.url)
    return client.request(request.method, url, content=changed.get("content", request.content), headers=request.headers)


def test_who_overhears_a_request_cannot_say_it_again_nor_another_with_its_signature(house: Served) -> None:
    with house.client("alice") as alice, httpx.Client(base_url=house.address) as eve:
        done = alice.post("/v1/orders", json=ORDER)
        assert done.status_code == 200
        before = house.writer.head
        assert sent_again(eve, done.request).status_code == 401
        unsent = alice.build_request("POST", "/v1/orders", json=ORDER)
        signed = alice.signed(unsent)
        assert sent_again(eve, signed, content=signed.content.replace(b'"5"', b'"9"')).status_code == 401
        assert sent_again(eve, signed, url=f"{house.address}/v1/orders?account=2").status_code == 401
        assert house.writer.head == before
        assert sent_again(eve, signed).status_code == 200, "the control: as it was signed it is good, once"


def test_a_path_is_signed_as_it_is_sent(house: Served) -> None:
    with house.client("alice") as alice:
        assert alice.get("/v1/orders?symbol=AC%4DE&status=open").status_code == 200


@pytest.mark.parametrize(
    "mean",
    [
        lambda order: CancelOrder(account=2, order=order),
        lambda order: ReduceOrder(account=2, order=order, quantity_lots=1),
        lambda order: ReplaceOrder(account=2, order=order, quantity_lots=1),
    ],
    ids=["cancel", "reduce", "replace"],
)
def test_an_order_of_another_is_safe_even_from_who_is_past_the_door(house: Served, mean: Callable[[int], Command]) -> None:
    """The domain looks by itself: here nobody asks at a door. That the doors look, too: test_rest.py."""
    with house.client("alice") as alice:
        order = int(alice.post("/v1/orders", json=ORDER).raise_for_status().json()["order"])
    committed = house.writer.submit(to_row(mean(order))).result()
    (refusal,) = events(committed.events, committed.first_event)
    assert (refusal.kind, refusal.fields["rule"]) == ("CommandRefused", "unknown_order")


def test_what_is_said_again_to_a_gateway_that_did_not_hear_it_is_done_once(house: Served) -> None:
    """Each remembers words by itself; here it is made to forget them."""
    batch = {"orders": [ORDER, ORDER]}
    with house.client("alice") as alice, httpx.Client(base_url=house.address) as eve:
        for path, body in (("/v1/orders", ORDER), ("/v1/orders/batch", batch), ("/v1/deposits", {"asset": "USD", "amount": "1.00"})):
            done = alice.post(path, json=body)
            assert done.status_code == 200
            house.house.access._nonces.clear()
            again = sent_again(eve, done.request)
            assert again.status_code == 200
            first, second = (outcomes(each.json()) for each in (done, again))
            assert [each["status"] for each in first] == ["accepted"] * len(first)
            assert [(each["status"], each["command_id"]) for each in second] == [("repeated", each["command_id"]) for each in first]


def outcomes(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["done"] for each in answer["outcomes"]] if "outcomes" in answer else [answer]
