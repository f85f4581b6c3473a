"""A real nginx before two real gateways: what gets through, what does not, and what happens when a gateway is gone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from picows import WSError

from adapters.doors import house as doors
from adapters.doors.coinbase.socket import PATH as COINBASE_PATH
from adapters.doors.desk import Desk
from adapters.doors.gateway import LINGERS_S, Gateway, Ports
from adapters.doors.house import House
from adapters.doors.patience import Patience
from adapters.doors.rest.app import MAX_BODY_BYTES
from adapters.doors.sessions import InMemory, Sessions
from adapters.doors.ws.client import PATH
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.registry.credentials import Issued
from adapters.settings import GatewayPorts
from adapters.stack import authority, loopback, nginx
from adapters.stack.errors import NotInstalled, StackFailed
from adapters.stack.nginx import Nginx
from commands.ports import RowBytes
from eventstore.blocks import Block
from projections.embedded import FOLDS
from tests.doors.house import BY, Client, Served
from tests.doors.sockets import Socket, reached, run
from tests.waiting import PATIENCE_S, eventually

BUY = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
ELSEWHERE = "10.1.2.3"
LOOPBACK = "127.0.0.1"


class Venue(Served):
    """A house whose writer serves gateways beside it, each with a feed of its own."""

    def __init__(self, folder: Path) -> None:
        self.also: list[Feed] = []
        super().__init__(folder)

    def _committed(self, block: Block, rows: RowBytes, took_s: float) -> None:
        super()._committed(block, rows, took_s)
        for feed in self.also:
            feed.offer(block, rows)

    @contextmanager
    def gateway(self, ports: GatewayPorts) -> Iterator[Gateway]:
        """One that believes proxies on loopback."""
        feed = Feed(1, self.log, FOLDS)
        self.also.append(feed)

        @asynccontextmanager
        async def opened() -> AsyncIterator[House]:
            record = Record(self.log, FOLDS)
            reads = Reads([feed], None, record)
            sessions, desks = Sessions(InMemory(), bytes(32)), {1: Desk(self.writer)}
            yield House(self.registry, self.credentials, sessions, desks, reads, self.log.durability, test_mode=True, feeds=[feed])
            await reads.close()
            await record.close()

        with closing(feed), Gateway(opened, Ports(*ports), proxies=LOOPBACK) as made:
            yield made


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with closing(Venue(tmp_path_factory.mktemp("venue"))) as made:
        yield made


@pytest.fixture
def ports() -> list[GatewayPorts]:
    """Of two gateways."""
    taken: list[int] = []
    for _ in range(4):
        taken.append(loopback.free_port(taken))
    return [GatewayPorts(*taken[:2]), GatewayPorts(*taken[2:])]


@pytest.fixture
def proxy(own_folder: Path, ports: list[GatewayPorts]) -> Iterator[Nginx]:
    """nginx before gateways that may be there."""
    made = Nginx(own_folder / "nginx", loopback.free_port(()), gateways=ports)
    made.status_port = loopback.free_port((made.port,))
    try:
        made.start()
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    yield made
    made.kill()


@pytest.fixture
def gateways(venue: Venue, ports: list[GatewayPorts]) -> Iterator[list[ExitStack]]:
    """Two; whoever closes one stops it."""
    with ExitStack() as all_of_them:
        made = []
        for each in ports:
            one = all_of_them.enter_context(ExitStack())
            one.enter_context(venue.gateway(each))
            made.append(one)
        yield made


def tls(proxy: Nginx) -> ssl.SSLContext:
    """As somebody has it who trusts the authority of this stack."""
    return ssl.create_default_context(cafile=str(proxy.authority))


@pytest.fixture
def alice(proxy: Nginx, gateways: object, venue: Venue) -> Iterator[Client]:
    """Through nginx."""
    with Client(proxy.address, venue.credentials.issue("alice", BY, scopes=["read", "trade"]), verify=tls(proxy)) as made:
        yield made


@pytest.fixture
def nobody(proxy: Nginx) -> Iterator[Client]:
    with Client(proxy.address, verify=tls(proxy)) as made:
        yield made


def logged(proxy: Nginx, **words: Any) -> list[dict[str, Any]]:
    """Lines of the access log that say so, when there is one."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in proxy.access.read_text().splitlines()]
        return [line for line in lines if all(line[key] == value for key, value in words.items())]

    eventually(lambda: bool(found()))
    return found()


# -- what gets through ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["h2", "http/1.1"])
def test_http_2_is_spoken_with_whoever_speaks_it(proxy: Nginx, wanted: str) -> None:
    context = tls(proxy)
    context.set_alpn_protocols([wanted])
    with socket.create_connection((LOOPBACK, proxy.port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
        assert (wrapped.selected_alpn_protocol(), wrapped.version()) == (wanted, "TLSv1.3")


def test_whoever_does_not_know_the_authority_refuses_the_server(proxy: Nginx) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(proxy.address)


def test_a_signed_order_is_on_record_when_it_is_answered(alice: Client, venue: Venue) -> None:
    """Nothing that was signed is changed on the way: method, path, query, body."""
    done = alice.post("/v1/orders", json=BUY)
    assert (done.status_code, done.json()["status"]) == (200, "accepted")
    assert int(done.json()["seq"]) <= venue.writer.head.seq
    listed = alice.get("/v1/orders", params={"symbol": "ACME", "at_least": done.json()["seq"]})
    assert done.json()["order"] in {order["order"] for order in listed.json()["orders"]}
    assert alice.delete(f"/v1/orders/{done.json()['order']}").json()["status"] == "accepted"


def test_a_websocket_trades_and_watches_through_tls(proxy: Nginx, gateways: object, venue: Venue) -> None:
    issued = venue.credentials.issue("alice", BY, scopes=["read", "trade"])

    async def given() -> None:
        async with reached(f"wss://127.0.0.1:{proxy.port}{PATH}", tls(proxy)) as watch, socket_of(proxy, issued) as trade:
            await watch.done(op="subscribe", channels=["level3"], symbols=["ACME"])
            done = await trade.done(op="order", **BUY, command_id="9001")
            assert done["status"] == "accepted"
            shown = await watch.until(channel="level3", seq=done["seq"])
            assert done["order"] in str(shown)

    run(given())


@asynccontextmanager
async def socket_of(proxy: Nginx, issued: Issued, **headers: str) -> AsyncIterator[Socket]:
    """Logged in, through nginx."""
    async with reached(f"wss://127.0.0.1:{proxy.port}{PATH}", tls(proxy), **headers) as made:
        yield await made.logged_in(issued)


@pytest.mark.parametrize("path", [PATH, COINBASE_PATH])
def test_every_path_of_websockets_gets_through(path: str, proxy: Nginx, gateways: object) -> None:
    async def given() -> None:
        async with reached(f"wss://127.0.0.1:{proxy.port}{path}", tls(proxy)) as made:
            assert not made.ended.is_set()

    run(given())


def test_at_the_root_there_is_a_page_that_says_what_is_here(nobody: Client) -> None:
    page = nobody.get("/")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert all(path in page.text for path in ("/docs", PATH, COINBASE_PATH, "/udf"))


def test_docs_are_those_of_a_gateway(nobody: Client, gateways: object) -> None:
    assert nobody.get("/docs/openapi.json").json()["info"]["title"] == "Outcry"


# -- where a request comes from ---------------------------------------------------------------------------------------


def test_a_client_cannot_say_that_it_is_elsewhere(proxy: Nginx, gateways: object, venue: Venue, ports: list[GatewayPorts]) -> None:
    """A key that may be used from there only: the gateway would believe the header, and nginx does not hand it on."""
    forged = {"X-Forwarded-For": ELSEWHERE, "Forwarded": f"for={ELSEWHERE}", "X-Real-IP": ELSEWHERE}
    issued = venue.credentials.issue("alice", BY, scopes=["read", "trade"], addresses=[ELSEWHERE])
    with Client(f"http://127.0.0.1:{ports[0].rest}", issued, headers=forged) as beside:
        assert beside.get("/v1/me").status_code == 200, "without nginx it would be believed"
    with Client(proxy.address, issued, headers=forged, verify=tls(proxy)) as through:
        assert through.get("/v1/me").status_code == 401

    async def given() -> None:
        with pytest.raises(AssertionError, match="may not be used from this address"):
            async with socket_of(proxy, issued, X_Forwarded_For=ELSEWHERE):
                pass

    run(given())


def test_a_gateway_is_told_where_a_client_is(proxy: Nginx, gateways: object, venue: Venue) -> None:
    """On this machine that is loopback; the socket's other end is, too, so a key for loopback alone proves little: nginx's log says it."""
    issued = venue.credentials.issue("alice", BY, scopes=["read"], addresses=[LOOPBACK])
    with Client(proxy.address, issued, verify=tls(proxy)) as through:
        assert through.get("/v1/me").status_code == 200
    assert logged(proxy, path="/v1/me", status=200)[0]["address"] == LOOPBACK


# -- gateways that are gone -------------------------------------------------------------------------------------------


def test_one_gateway_gone_the_other_answers_everything(alice: Client, gateways: list[ExitStack]) -> None:
    """Nobody notices: of what cannot be sent to a gateway nothing is lost."""
    gateways[0].close()
    answered = [alice.post("/v1/orders", json=BUY).status_code for _ in range(20)]
    asked = [alice.get("/v1/time").status_code for _ in range(20)]
    assert set(answered + asked) == {200}


def test_a_gateway_that_is_back_is_used_again(proxy: Nginx, nobody: Client, venue: Venue, ports: list[GatewayPorts]) -> None:
    with venue.gateway(ports[0]):
        nobody.get("/v1/time")
        with venue.gateway(ports[1]):
            eventually(lambda: nobody.get("/v1/time").status_code == 200 and bool(by_gateway(proxy, ports[1])))


def by_gateway(proxy: Nginx, ports: GatewayPorts) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in proxy.access.read_text().splitlines()]
    return [line for line in lines if line["gateway"] == f"127.0.0.1:{ports.rest}" and line["status"] == 200]


def test_sockets_are_let_in_by_a_gateway_as_soon_as_it_is_back(
    proxy: Nginx, venue: Venue, nobody: Client, ports: list[GatewayPorts]
) -> None:
    """All of them, though none of those that came first has ended: nobody remembers that it was gone."""
    url = f"wss://127.0.0.1:{proxy.port}{PATH}"

    async def given() -> None:
        for _ in range(5):
            with pytest.raises(WSError, match="503"):
                async with reached(url, tls(proxy)):
                    pass
        with venue.gateway(ports[1]):
            async with AsyncExitStack() as opened:
                for _ in range(10):
                    await opened.enter_async_context(reached(url, tls(proxy)))

    run(given())


def test_without_a_gateway_a_command_is_told_that_it_was_not_taken(nobody: Client) -> None:
    """In the doors' own form, with the time to come back."""
    for method in ("POST", "DELETE"):
        answer = nobody.request(method, "/v1/orders", content=b"{}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert (answer.json()["outcome"], answer.headers["Retry-After"]) == ("none", "1")


class Deaf:
    """A gateway that reads a request and is gone before it answers. heard: the first lines."""

    def __init__(self, port: int) -> None:
        self.heard: list[str] = []
        self._listening = socket.create_server((LOOPBACK, port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._listening.accept()
                with taken:
                    if said := taken.recv(65_536):
                        self.heard.append(said.decode().split("\r\n")[0])

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_what_a_gateway_may_have_done_is_sent_to_no_other(method: str, nobody: Client, ports: list[GatewayPorts]) -> None:
    """Its client is told that nobody knows, and repeats it under the same name."""
    with closing(Deaf(ports[0].rest)) as one, closing(Deaf(ports[1].rest)) as other:
        answer = nobody.request(method, "/v1/orders", content=b"{}")
        assert (answer.status_code, answer.json()["outcome"]) == (503, "unknown")
        assert "same command_id" in answer.json()["detail"]
        assert one.heard + other.heard == [f"{method} /v1/orders HTTP/1.1"]


def test_a_question_is_asked_of_another_gateway(nobody: Client, ports: list[GatewayPorts]) -> None:
    with closing(Deaf(ports[0].rest)) as one, closing(Deaf(ports[1].rest)) as other:
        assert nobody.get("/v1/time").status_code == 503
        assert len(one.heard) == len(other.heard) == 1


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_an_address_that_asks_too_often_is_told_to_come_back(proxy: Nginx, nobody: Client) -> None:
    proxy.bounds |= {"REQUESTS_PER_S": 1, "REQUESTS_AT_ONCE": 3}
    proxy.reload()
    refused = None

    def is_refused() -> bool:
        nonlocal refused
        refused = nobody.get("/")
        return refused.status_code == 429

    eventually(is_refused)
    assert refused is not None
    assert (refused.headers["Retry-After"], refused.headers["Content-Type"]) == ("1", "application/problem+json")
    assert refused.json()["outcome"] == "none"


def test_an_address_has_so_many_connections_and_no_more(proxy: Nginx, gateways: object) -> None:
    proxy.bounds["CONNECTIONS_OF_ONE"] = 2
    proxy.stop()
    proxy.start()
    url = f"wss://127.0.0.1:{proxy.port}{PATH}"

    async def given() -> None:
        async with reached(url, tls(proxy)), reached(url, tls(proxy)):
            with pytest.raises(WSError, match="429"):
                async with reached(url, tls(proxy)):
                    pass

    run(given())


def test_a_body_or_a_head_that_a_gateway_would_refuse_does_not_get_there(proxy: Nginx, nobody: Client) -> None:
    body = nobody.post("/v1/orders", content=bytes(MAX_BODY_BYTES + 1))
    assert (body.status_code, body.json()["outcome"]) == (413, "none")
    head = nobody.get("/v1/time", headers={"Outcry-Key": "x" * 20_000})
    assert (head.status_code, head.json()["status"]) == (431, 431)
    assert {line["gateway"] for line in logged(proxy)} == {""}


def test_plain_http_is_told_what_would_be_right(proxy: Nginx) -> None:
    answer = httpx.get(f"http://127.0.0.1:{proxy.port}/v1/time")
    assert (answer.status_code, "https://" in answer.json()["detail"]) == (400, True)


def test_what_comes_by_a_connection_that_is_kept_is_answered_while_the_gateway_leaves(venue: Venue, ports: list[GatewayPorts]) -> None:
    """Had the gateway ended it just then, nobody could say whether a command was done."""
    with (
        venue.gateway(ports[0]) as gateway,
        closing(HTTPConnection("127.0.0.1", ports[0].rest, timeout=20)) as kept,
        closing(HTTPConnection("127.0.0.1", ports[0].rest, timeout=20)) as other,
        ThreadPoolExecutor() as pool,
    ):
        kept.request("GET", "/v1/time")
        assert kept.getresponse().read()
        leaving = pool.submit(gateway.close)

        def nobody_else_gets_in() -> bool:
            try:
                socket.create_connection(("127.0.0.1", ports[0].rest), timeout=5).close()
            except (ConnectionRefusedError, ConnectionResetError):  # reset: it closed just then
                return True
            return False

        eventually(nobody_else_gets_in)
        assert not leaving.done()
        kept.request("GET", "/v1/time")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        with pytest.raises(ConnectionRefusedError):
            other.request("GET", "/v1/time")
        leaving.result(60)


def test_bounds_are_those_of_the_doors() -> None:
    """So that nobody is let in by one and turned away by the other."""
    text = nginx.TEMPLATE.read_text()
    patience = Patience()
    assert f"client_max_body_size {MAX_BODY_BYTES};" in text
    assert patience.head_bytes == 2 * 8 * 1024
    assert "large_client_header_buffers 2 8k;" in text
    assert f"client_header_timeout {patience.request_s:g}s;" in text
    assert (nginx.BOUNDS["REQUESTS_PER_S"], nginx.BOUNDS["REQUESTS_AT_ONCE"]) == (doors.ADDRESS_RATE.per_s, doors.ADDRESS_RATE.burst)
    assert min(patience.keep_alive_s, LINGERS_S) > 2
    assert "keepalive_timeout 2s;" in text
    assert patience.answer_s < 95
    assert "proxy_read_timeout 95s;" in text


# -- what is written --------------------------------------------------------------------------------------------------


def test_every_request_is_a_line_of_json_and_no_secret_is_in_any(proxy: Nginx, nobody: Client, ports: list[GatewayPorts]) -> None:
    """Neither of those that were answered nor of those that went wrong."""
    secret = "hush-hush-hush"
    headers = dict.fromkeys(("Authorization", "Outcry-Signature", "Cookie", "CB-ACCESS-SIGN", "Referer"), secret)
    with closing(Deaf(ports[0].rest)):
        for path in ("/", "/v1/orders"):
            nobody.get(path, params={"token": secret}, headers={**headers, "User-Agent": 'a "quoted" \\ agent'})
    nobody.post("/v1/sessions", json={"password": secret}, headers=headers)
    lines = logged(proxy, method="POST", path="/v1/sessions")
    assert (lines[0]["status"], lines[0]["tls"]) == (503, "TLSv1.3")
    assert logged(proxy, path="/v1/orders", agent='a "quoted" \\ agent')
    for file in proxy.folder.iterdir():
        assert not file.is_file() or secret not in file.read_text(), file.name


def test_who_watches_the_machine_is_told_how_many_there_are(proxy: Nginx) -> None:
    assert httpx.get(f"http://127.0.0.1:{proxy.status_port}/status").text.startswith("Active connections:")
    assert httpx.get(f"http://127.0.0.1:{proxy.status_port}/").status_code == 404


def test_keys_are_for_nobody_else(proxy: Nginx) -> None:
    private = (proxy.folder / "server.key", proxy.authority.with_suffix(".key"), proxy.configuration)
    assert {file.stat().st_mode & 0o777 for file in private} == {0o600}


# -- starting, going on, ending ---------------------------------------------------------------------------------------


def test_a_socket_outlives_a_reload(proxy: Nginx, gateways: object, venue: Venue) -> None:
    issued = venue.credentials.issue("alice", BY, scopes=["read", "trade"])

    async def given() -> None:
        async with socket_of(proxy, issued) as trader:
            proxy.bounds |= {"REQUESTS_PER_S": 1, "REQUESTS_AT_ONCE": 1}
            await asyncio.to_thread(proxy.reload)
            await asyncio.to_thread(eventually, lambda: httpx.get(proxy.address, verify=tls(proxy)).status_code == 429)
            assert (await trader.done(op="order", **BUY))["status"] == "accepted"

    run(given())


def test_what_has_not_changed_is_not_loaded_anew(proxy: Nginx) -> None:
    """Whoever brings a stack up that runs cuts nobody's socket, not even later."""
    eventually(lambda: len(workers(proxy)) == min(nginx.WORKERS, os.cpu_count() or 1))
    before = workers(proxy)
    proxy.reload()
    proxy.bounds["CONNECTIONS_OF_ONE"] = 511
    assert workers(proxy) == before
    proxy.reload()
    eventually(lambda: not workers(proxy) & before)


def test_a_certificate_that_ends_soon_is_made_anew_and_the_authority_stays(
    proxy: Nginx, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, certificate = proxy.authority.read_text(), (proxy.folder / "server.pem").read_text()
    monkeypatch.setattr(authority, "RENEWED_DAYS", authority.SERVER_DAYS)
    proxy.reload()
    assert (proxy.folder / "server.pem").read_text() != certificate
    assert proxy.authority.read_text() == known
    assert nobody.get("/").status_code == 200


def test_the_authority_vouches_for_this_machine_and_for_no_other(tmp_path: Path) -> None:
    """Whoever trusts it for a test need not fear what else somebody might do with its key."""
    made = x509.load_pem_x509_certificate(authority.Authority(tmp_path).file.read_bytes())
    permitted = made.extensions.get_extension_for_class(x509.NameConstraints)
    assert permitted.critical
    assert {str(name.value) for name in permitted.value.permitted_subtrees or ()} == {"localhost", "127.0.0.1/32", "::1/128"}


def workers(proxy: Nginx) -> set[str]:
    """Processes that serve."""
    return set(Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split())


def test_a_configuration_that_cannot_be_is_refused_and_the_old_one_goes_on(proxy: Nginx, nobody: Client) -> None:
    before = proxy.configuration.read_text()
    proxy.bounds["REQUESTS_PER_S"] = -1
    with pytest.raises(StackFailed, match=r'goes on with the old one(.|\n)*invalid rate "rate=-1r/s"'):
        proxy.reload()
    assert proxy.configuration.read_text() == before
    assert nobody.get("/").status_code == 200


def test_after_its_master_was_killed_it_starts_again(proxy: Nginx, nobody: Client) -> None:
    """Its workers live on, and would keep its port."""
    known = proxy.process
    assert known is not None
    os.kill(known.pid, signal.SIGKILL)
    assert known.wait_gone(PATIENCE_S)
    assert proxy.died
    proxy.start()
    assert nobody.get("/").status_code == 200


def test_when_it_was_killed_nothing_of_it_is_left(proxy: Nginx) -> None:
    proxy.kill()
    eventually(lambda: loopback.is_free(proxy.port))


def test_it_runs_as_nobody_in_particular(proxy: Nginx) -> None:
    """Master and workers: it has no port that root alone may have."""
    status = Path(f"/proc/{proxy.pid}/status").read_text()
    (uid,) = [line.split()[1] for line in status.splitlines() if line.startswith("Uid:")]
    assert int(uid) != 0
