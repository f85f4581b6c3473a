"""What a client of gateways is told when something dies is what the record says; the tests that say so would say otherwise of a client that
makes new names for what he sends again.
"""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.doors.sockets import connected, run
from tests.gateway.venue import ORDER, Load, Venue, priced
from tests.waiting import eventually


def test_the_owner_is_killed_under_load_and_each_order_is_what_was_said_of_it(venue: Venue) -> None:
    """Answered: on record, as it was answered. Not answered: once the same is sent again at another gateway, once."""
    first = venue.market.serve("first")
    eventually(lambda: first.owns(1))
    venue.market.serve("second")
    one, two = venue.gateway("one"), venue.gateway("two")
    with venue.client(one, "alice") as alice:
        venue.trade(alice, command_id=str(2**40))
    load = Load(venue, one, "alice", first=1)
    eventually(lambda: load.accepted >= 40)

    first.stop(signal.SIGKILL)

    eventually(lambda: load.accepted >= 80)
    told = load.end()
    with venue.client(two, "alice") as alice:
        again = {number: venue.trade(alice, **priced(number)) for number, answer in told.items() if answer.get("http") != 200}
    assert venue.doubts(told | again) == []


@pytest.mark.parametrize("renames", [False, True], ids=["the same names", "new names"])
def test_a_gateway_is_killed_while_orders_are_under_way(venue: Venue, renames: bool) -> None:
    """Who sends them again by their names at another gateway has each once; who gives them new names has some twice, and is found out."""
    owner = venue.market.serve("owner")
    one, two = venue.gateway("one"), venue.gateway("two")
    with venue.client(one, "alice") as alice:
        venue.trade(alice, command_id=str(2**40))
    sent = venue.sent()
    owner.process.send_signal(signal.SIGSTOP)
    load = Load(venue, one, "alice", first=1)
    eventually(lambda: venue.sent() > sent)
    assert one.stop(signal.SIGKILL) == -signal.SIGKILL
    told = load.end()
    owner.process.send_signal(signal.SIGCONT)

    with venue.client(two, "alice") as alice:
        new = {"command_id": ""} if renames else {}
        resolved = {number: venue.trade(alice, **priced(number) | new) for number in told}

    assert bool(venue.doubts(resolved)) == renames


def test_a_gateway_that_is_told_to_end_answers_who_has_asked_and_sends_sockets_elsewhere(venue: Venue) -> None:
    owner = venue.market.serve("owner")
    one = venue.gateway("one")
    with venue.client(one, "alice") as alice, ThreadPoolExecutor() as pool:
        venue.trade(alice, command_id=str(2**40))

        async def given() -> None:
            async with connected(one) as socket:
                await socket.logged_in(venue.keys["bob"], cancel_on_disconnect=True)
                sent = venue.sent()
                owner.process.send_signal(signal.SIGSTOP)
                asked = pool.submit(alice.post, "/v1/orders", json=ORDER | priced(1))
                socket.say(id="ws", op="order", **ORDER | {"command_id": "2"})
                await asyncio.to_thread(eventually, lambda: venue.sent() > sent)
                one.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(eventually, lambda: refuses(one.rest_port))
                owner.process.send_signal(signal.SIGCONT)
                answer = await asyncio.to_thread(asked.result)
                assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
                rests = (await socket.until(id="ws"))["done"]
                assert (rests["status"], rests["resting"]) == ("accepted", True)
                assert (await socket.until(type="cut"))["reason"] == "this gateway goes away; another will take you"
                assert (await socket.is_ended() or (0, ""))[0] == 1001

        run(given())
    assert one.process.wait(60) == 0
    assert one.log()[-1]["message"] == "stopped"
    assert [venue.removed(account) for account in (1, 2)] == [[], ["mass_cancel"]]


def test_what_waits_at_a_gateway_beyond_its_deadline_is_never_executed(venue: Venue) -> None:
    """Two batches are under way while the owner stands still; what is behind them waits."""
    owner = venue.market.serve("owner")
    one = venue.gateway("one")
    with venue.client(one, "alice") as alice, ThreadPoolExecutor() as pool:
        venue.trade(alice, command_id=str(2**40))
        sent = venue.sent()
        owner.process.send_signal(signal.SIGSTOP)
        asked = []
        for number in (1, 2):
            asked.append(pool.submit(alice.post, "/v1/orders", json=ORDER | priced(number)))
            eventually(lambda number=number: venue.sent() == sent + number)  # type: ignore[misc] # bound now
        late = alice.post("/v1/orders", json=ORDER | priced(3) | {"deadline_ms": 100})
        assert (late.status_code, late.json()["outcome"]) == (408, "none")
        owner.process.send_signal(signal.SIGCONT)
        told = {number: each.result().json() for number, each in enumerate(asked, 1)}
        assert venue.trade(alice, **priced(4))["status"] == "accepted"
    assert venue.doubts(told) == []
    assert venue.recorded(1, 3) is None


def refuses(port: int) -> bool:
    """Whether nobody is let in there."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/live")
    except httpx.ConnectError:
        return True
    return False
