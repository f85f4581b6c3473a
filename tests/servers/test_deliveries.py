"""Alerts delivered to a real HTTP receiver and a real mail server: signed, tried again, never lost, dead letters with a reason."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from adapters.alerts import follow, webhook
from adapters.alerts.deliver import Deliverer, Pace
from adapters.alerts.rules import AlertRules
from adapters.alerts.stream import AlertStream, stream_key
from adapters.alerts.webhook import Refused
from adapters.redis_view import connect
from adapters.settings import Settings, load
from adapters.stack.stack import Stack
from projections.alert_rules import ALERT, KINDS, Alert, Rule, alert_key
from tests.servers.fixtures import Database
from tests.servers.market import OUTCRY
from tests.waiting import eventually

QUICK = Pace(first_wait_s=0.02, claim_idle_s=0.5)


@dataclass
class Receiver:
    """An HTTP server. answers: status codes, one for each request; when none is left, 200. Hangs while *hangs* is set."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hangs: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[Receiver]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                while receiver.hangs.is_set():
                    time.sleep(0.01)
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", receiver.url + "elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/"
        try:
            yield self
        finally:
            self.hangs.clear()
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def names(self) -> list[str]:
        return [headers["Idempotency-Key"] for headers, _ in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as made:
        yield made


class Desk:
    """A stream of alerts, rules that say where to deliver them, and deliverers."""

    def __init__(self, redis_stack: Stack, database: Database, folder: Path) -> None:
        self.environment = {
            "OUTCRY_PROFILE": "stack",
            "OUTCRY_STACK": str(folder),
            "OUTCRY_POSTGRES": database.dsn(),
            "OUTCRY_KAFKA": "127.0.0.1:1",
            "OUTCRY_REDIS": redis_stack.redis_url,
            "OUTCRY_WEBHOOK_KEY": "a long random line",
            "OUTCRY_WEBHOOKS_ANYWHERE": "true",
            "OUTCRY_MAIL_FROM": "alerts@example.com",
        }
        self.client, self.rules = connect(redis_stack.redis_url), AlertRules(database.dsn())
        self.cluster, self.seq = f"deliveries-{secrets.token_hex(4)}", 0
        self.stream = AlertStream(self.client, self.cluster)

    @property
    def settings(self) -> Settings:
        return load(self.environment)

    def rule(self, webhook: str = "", email: str = "", text: str = "") -> int:
        rule = Rule("price", 7, 1, level=1_250, name="ACME", unit="0.01", webhook=webhook, email=email, text=text)
        return self.rules.add(1, rule).number

    def fire(self, rule: int, value: int = 1_260) -> str:
        """A block in which *rule* fires; the alert's name outside."""
        self.seq += 1
        key, alert = alert_key(self.seq, 100 + self.seq, rule), Alert(rule, 7, KINDS.index("price"), 1, 0, 1, 1_250, value, 0, 0, 5, 6)
        self.stream.write({key: ALERT.pack(alert)}, 1, self.seq)
        return f"1:{key}"

    @contextmanager
    def delivering(self, pace: Pace = QUICK) -> Iterator[Deliverer]:
        stop, deliverer = threading.Event(), Deliverer(self.settings, self.client, self.cluster, self.rules, pace)
        thread = threading.Thread(target=deliverer.serve, args=(stop,))
        thread.start()
        try:
            yield deliverer
        finally:
            stop.set()
            thread.join()

    def open(self) -> int:
        """Alerts that are not acknowledged, or not read yet."""
        (group,) = self.client.xinfo_groups(stream_key(self.cluster, 1)) or [{"pending": 1, "lag": 1}]
        return int(group["pending"]) + int(group["lag"] or 0)

    def dead(self) -> list[dict[str, Any]]:
        return follow.dead_letters(self.client, self.cluster, 1)


@pytest.fixture
def desk(redis_stack: Stack, database: Database, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(redis_stack, database, tmp_path)
    with closing(made.rules), closing(made.client):
        yield made


def test_a_webhook_is_posted_signed_and_can_be_told_from_a_forgery(desk: Desk, receiver: Receiver) -> None:
    rule = desk.rule(webhook=receiver.url, text="mine")
    name = desk.fire(rule)
    desk.fire(desk.rule())  # for the stream alone
    with desk.delivering():
        eventually(lambda: receiver.got and not desk.open())
    (headers, body), *more = receiver.got
    assert not more
    said = json.loads(body)
    assert (said["name"], said["rule"], said["tells"], said["shown"], said["text"]) == (name, rule, "ACME reaches 12.50", "12.60", "mine")
    assert headers["Idempotency-Key"] == name
    sent_s, signed = (part.partition("=")[2] for part in headers["Outcry-Signature"].split(","))
    key = bytes.fromhex(webhook.account_key(desk.settings, 7))
    assert signed == hmac.new(key, sent_s.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert webhook.account_key(desk.settings, 8) != key.hex(), "an account cannot sign as another"


def test_a_receiver_that_fails_for_a_while_gets_it_in_the_end(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [500, 503, 429]
    name = desk.fire(desk.rule(webhook=receiver.url))
    with desk.delivering():
        eventually(lambda: len(receiver.got) == 4 and not desk.open())
    assert receiver.names == [name] * 4
    assert desk.dead() == []


@pytest.mark.parametrize(
    ("answers", "tries", "why"),
    [
        ([404], 1, "answered 404; right would be 2xx"),
        ([302], 1, "answered 302; right would be 2xx, not elsewhere"),
        ([500] * 9, 5, "5 tries: answered 500"),
    ],
)
def test_what_cannot_be_delivered_is_a_dead_letter_with_its_reason(
    desk: Desk, receiver: Receiver, answers: list[int], tries: int, why: str
) -> None:
    receiver.answers = answers
    desk.fire(desk.rule(webhook=receiver.url))
    with desk.delivering():
        eventually(lambda: desk.dead() and not desk.open())
    assert len(receiver.got) == tries
    assert [(letter["channel"], letter["to"], letter["why"]) for letter in desk.dead()] == [("webhook", receiver.url, why)]


def test_a_dead_receiver_holds_up_nobody_else(desk: Desk, receiver: Receiver) -> None:
    """Of a hundred alerts for nobody and one behind them the one arrives at once; the hundred are dead letters."""
    gone = desk.rule(webhook="http://127.0.0.1:9/")
    for _ in range(100):
        desk.fire(gone)
    name = desk.fire(desk.rule(webhook=receiver.url))
    with desk.delivering(Pace(first_wait_s=0.2)):
        eventually(lambda: receiver.names == [name])
        assert len(desk.dead()) < 100, "or the one would have waited for all of them"
        eventually(lambda: len(desk.dead()) == 100 and not desk.open())


def test_whoever_is_killed_with_alerts_in_hand_has_them_taken_over(desk: Desk, receiver: Receiver, redis_stack: Stack) -> None:
    """By kill -9 of a process, while the receiver has the request and has not answered."""
    receiver.hangs.set()
    names = [desk.fire(desk.rule(webhook=receiver.url)) for _ in range(3)]
    script = (
        "import os, threading\nfrom adapters.settings import load\nfrom adapters.redis_view import connect\n"
        "from adapters.alerts.rules import AlertRules\nfrom adapters.alerts.deliver import Deliverer\ns = load(os.environ)\n"
        f"Deliverer(s, connect(s.redis), {desk.cluster!r}, AlertRules(s.postgres)).serve(threading.Event())\n"
    )
    process = subprocess.Popen([OUTCRY.parent / "python", "-c", script], env=os.environ | desk.environment)
    eventually(lambda: len(receiver.got) == 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    receiver.hangs.clear()
    assert desk.open() == 3
    with desk.delivering():
        eventually(lambda: not desk.open())
    assert set(receiver.names[3:]) == set(names), "each once more, under the name it had"


def test_a_redis_that_lost_its_stream_and_has_it_again_has_nothing_delivered_again(desk: Desk, receiver: Receiver) -> None:
    rule = desk.rule(webhook=receiver.url)
    for _ in range(5):
        desk.fire(rule)
    with desk.delivering():
        eventually(lambda: len(receiver.got) == 5 and desk.rules.delivered(1) >= 4)
    assert len(receiver.got) == 5
    base = desk.stream._key(1)
    desk.client.delete(base, f"{base}:stream")
    desk.stream, desk.seq = AlertStream(desk.client, desk.cluster), 0
    for _ in range(6):
        desk.fire(rule)
    with desk.delivering():
        eventually(lambda: not desk.open())
    again = receiver.names[5:]
    assert f"1:{alert_key(6, 106, rule)}" in again, "what is new arrives"
    assert len(again) <= 2, "at most the last one before it comes twice, under its name"


def test_an_alert_is_mailed_and_a_refused_address_is_a_dead_letter(desk: Desk) -> None:
    """By a real mail server; its temporary refusals are tried again, its final ones are not."""
    mails: list[Envelope] = []
    answers = ["451 later"]

    class Handler:
        async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:
            if address == "nobody@example.com":
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
            if answers:
                return answers.pop()
            mails.append(envelope)
            return "250 OK"

    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        desk.environment["OUTCRY_SMTP"] = f"smtp://127.0.0.1:{port}"
        name = desk.fire(desk.rule(email="alice@example.com", text="mine"))
        desk.fire(desk.rule(email="nobody@example.com"))
        with desk.delivering():
            eventually(lambda: mails and len(desk.dead()) == 1 and not desk.open())
    finally:
        controller.stop()
    (first,) = mails
    assert first.rcpt_tos == ["alice@example.com"]
    text = first.content.decode() if isinstance(first.content, bytes) else str(first.content)
    assert first.mail_from == "alerts@example.com"
    assert "Subject: ACME reaches 12.50: 12.60" in text
    assert f"Message-ID: <{name.replace(':', '-')}@example.com>" in text
    assert "mine" in text
    assert [letter["why"] for letter in desk.dead() if letter["to"] == "nobody@example.com"] == [
        "the mail server answered 550 no such user"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "http://example.com/",
        "file:///etc/passwd",
        "https://user:password@example.com/",
        "no address",
    ],
)
def test_webhooks_go_nowhere_but_to_public_addresses_and_with_tls(url: str) -> None:
    with pytest.raises(Refused):
        webhook.post(url, b"{}", "name", "00", anywhere=False)


def test_a_receiver_that_answers_without_end_is_left_in_time(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.setattr(webhook, "TOTAL_S", 0.3)
    receiver.hangs.set()
    with pytest.raises(webhook.Undelivered, match=r"no answer within|ReadTimeout"):
        webhook.post(receiver.url, b"{}", "name", "00", anywhere=True)
