"""The TypeScript client against a served house: what it is tested with in node, each file a test here; and its examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters import example
from adapters.doors.desk import Decided
from adapters.doors.ws.entry import acknowledged
from adapters.tickets import Ticket, new_order
from commands import batch
from commands.codec import to_row
from commands.messages import CancelOrder, Command, MassCancel, ReduceOrder, ReplaceOrder
from domain.events import COMMAND_REFUSED, COMMAND_REPEATED, EVENT_BY_CODE, ORDER_ACCEPTED, ORDERS_MASS_CANCELLED
from domain.rules import RULES, UNKNOWN_ORDER
from tests.conftest import REPOSITORY
from tests.doors.house import BY, PASSWORD, Served
from tests.typescript.conftest import HERE
from tests.waiting import PATIENCE_S

TESTS = sorted(path.name.removesuffix(".test.ts") for path in HERE.glob("test/*.test.ts"))
EXAMPLES = sorted(path.stem for path in HERE.glob("examples/*.ts"))
ID = {"account": 7, "sequence": 2**63 - 1}
ORDER = 2**48 + 1
OUTCOMES = (COMMAND_REFUSED, COMMAND_REPEATED, *range(ORDER_ACCEPTED, ORDERS_MASS_CANCELLED + 1))
TICKETS = {
    "limit": Ticket(side="buy", quantity="5", price="1.01", client_order_id=3),
    "all_terms": Ticket(
        side="sell", quantity="1000000", price="9999.99", post_only="slide", self_trade="decrement", expires="1800000000000000000"
    ),
    "market_buy": Ticket(side="buy", quantity="2", budget="123.45"),
    "market_sell": Ticket(side="sell", quantity="2", time_in_force="FOK"),
}
CHANGES: dict[str, list[Command]] = {
    "cancel": [CancelOrder(order=ORDER), CancelOrder(client_order_id=3)],
    "replace": [ReplaceOrder(order=ORDER, price_ticks=102, quantity_lots=6, new_client_order_id=4)],
    "reduce": [ReduceOrder(client_order_id=3, quantity_lots=2)],
    "mass_cancel": [MassCancel(instrument=1, side_scope="sells"), MassCancel()],
}


def frames() -> dict[str, str]:
    """What our own code makes of the commands that the client is asked to encode."""
    orders: dict[str, list[Command]] = {name: [new_order(ticket, 7, example.ACME, example.LISTING)] for name, ticket in TICKETS.items()}
    return {
        name: batch.encode(b"".join(to_row(msgspec.structs.replace(each, **ID)) for each in commands)).hex()
        for name, commands in (orders | CHANGES).items()
    }


def answer() -> bytes:
    """Of a batch of three rows: accepted, refused, repeated."""
    said = (ORDER_ACCEPTED, 2**53 + 1), (COMMAND_REFUSED, UNKNOWN_ORDER), (COMMAND_REPEATED, ORDER_ACCEPTED)
    return acknowledged(Decided(2, 4, b"".join(struct.pack("<8q", *each, *[0] * 6) for each in said)), 0, is_part=False)


def venue(house: Served) -> dict[str, Any]:
    """What the tests are told."""
    issued = {user: house.credentials.issue(user, BY, scopes=["read", "trade", "fund"]) for user in ("alice", "bob")}
    return {
        "rest": house.address,
        "ws": f"ws://127.0.0.1:{house.ws_port}/v1/ws",
        "keys": {user: {"key": key.key, "secret": key.secret} for user, key in issued.items()},
        "password": PASSWORD,
        "frames": frames(),
        "acknowledged": answer().hex(),
        "outcomes": {str(kind): EVENT_BY_CODE[kind].name for kind in OUTCOMES},
        "rules": ["", *(rule.name for rule in sorted(RULES))],
    }


def node(*arguments: str, cwd: Path = HERE, **environment: str) -> str:
    """What node says; it is to end well."""
    ran = subprocess.run(
        ["node", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def passes(house: Served, name: str, *how: str) -> None:
    """A file of tests, which are to pass."""
    options = (*how, "--test", "--test-reporter=tap", f"--test-timeout={PATIENCE_S * 1_000:.0f}", "--test-force-exit")
    said = node(*options, f"build/test/{name}.test.js", OUTCRY_VENUE=json.dumps(venue(house)))
    assert "# fail 0" in said
    assert "# pass 0" not in said


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", TESTS)
def test_the_client_does_what_its_tests_say(name: str, house: Served) -> None:
    passes(house, name)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["session", "book"])
def test_it_does_so_over_the_websocket_that_browsers_have(name: str, house: Served) -> None:
    passes(house, name, "--experimental-websocket")


@pytest.fixture
def key_file(house: Served, tmp_path: Path) -> Path:
    """As `outcry demo` writes it for alice."""
    told = venue(house)
    path = tmp_path / "alice.json"
    path.write_text(json.dumps({"user": "alice", "rest": told["rest"], "websocket": told["ws"], **told["keys"]["alice"]}))
    return path


@contextmanager
def trading(house: Served) -> Iterator[None]:
    """Meanwhile bob's orders come and go, and he sells to whoever bids."""
    ended = threading.Event()

    def trade() -> None:
        with house.client("bob") as bob, house.client("alice") as alice:
            while not ended.is_set():
                order = {"symbol": "ACME", "quantity": "1", "price": "12.50"}
                for side, trader in (("buy", alice), ("sell", bob)):
                    assert trader.post("/v1/orders", json={**order, "side": side}).status_code == 200

    with ThreadPoolExecutor(1) as pool:
        trades = pool.submit(trade)
        try:
            yield
        finally:
            ended.set()
            trades.result()


def test_every_example_is_tried() -> None:
    tried = {name.removeprefix("test_example_").replace("_", "-") for name in globals() if name.startswith("test_example_")}
    assert tried == set(EXAMPLES)


@pytest.mark.usefixtures("compiled")
def test_example_first_order(key_file: Path) -> None:
    entered, cancelled, refused = node("build/examples/first-order.js", str(key_file)).splitlines()
    assert entered.endswith("it traded 0 times")
    assert cancelled == "it is cancelled"
    assert refused.startswith("refused by price_band")


@pytest.mark.usefixtures("compiled")
def test_example_watch_book(house: Served, key_file: Path) -> None:
    with trading(house):
        lines = node("build/examples/watch-book.js", str(key_file), "ACME", "20").splitlines()
    assert len(lines) == 20
    assert any("1 at 12.50 | nobody" in line for line in lines)


@pytest.mark.usefixtures("compiled")
def test_example_batch(key_file: Path) -> None:
    accepted, cancelled = node("build/examples/batch.js", str(key_file)).splitlines()
    assert accepted.endswith(": 1000 accepted")
    assert cancelled.endswith(": 1000 cancelled")


@pytest.mark.usefixtures("compiled")
def test_example_resume(house: Served, key_file: Path, tmp_path: Path) -> None:
    """Stopped and started, it tells of each execution once, those included that came in between."""
    told: list[str] = []
    with trading(house):
        for _ in range(3):
            told += node("build/examples/resume.js", str(key_file), str(tmp_path / "seen.json"), "5").splitlines()
    with house.client("alice") as alice:
        executions = alice.get("/v1/executions", params={"limit": 128}).json()["executions"]
    happened = [each["number"] for each in reversed(executions)]
    numbers = [line.partition(":")[0] for line in told]
    begin = happened.index(numbers[0])
    assert numbers == happened[begin : begin + len(numbers)]


@pytest.mark.usefixtures("compiled")
def test_what_the_documents_show_can_be_done(key_file: Path, tmp_path: Path) -> None:
    """All snippets in their order are one program. It is compiled as strictly as we are, but for names that only show something."""
    folder = HERE / "build" / "docs"
    folder.mkdir(exist_ok=True)
    snippets = re.findall(r"^```ts\n(.*?)^```", (REPOSITORY / "docs" / "sdk.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(snippets) > 3
    (folder / "sdk.ts").write_text("".join(snippets))
    options = {"rootDir": ".", "outDir": "out", "noUnusedLocals": False}
    (folder / "tsconfig.json").write_text(
        json.dumps({"extends": "../../tsconfig.test.json", "compilerOptions": options, "include": ["*.ts"]})
    )
    node("node_modules/typescript/bin/tsc", "--project", str(folder))
    keys = tmp_path / "venue" / "keys"
    keys.mkdir(parents=True)
    shutil.copy(key_file, keys)
    assert "price_band" in node(str(folder / "out" / "sdk.js"), cwd=tmp_path)
