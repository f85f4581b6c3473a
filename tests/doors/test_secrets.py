"""No secret is where somebody may read it later: after logins, keys, orders and failures the logs and the record are searched."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from adapters.registry.aggregates import User
from tests.doors.house import BY, PASSWORD, Served, served

WRONG = "a wrong password that was typed"
ORDER = {"symbol": "ACME", "side": "buy", "quantity": "5", "price": "12.50"}
NEW = "another password, which is hers from now on"
NEEDLE = "alice"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def house(folder: Path) -> Iterator[Served]:
    with served(folder) as made:
        yield made


def said(house: Served, caplog: pytest.LogCaptureFixture) -> str:
    """Every log line, also those that are not shown, with what was raised."""
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join([formatter.format(record) + repr(vars(record)) for record in caplog.records])


def recorded(house: Served, folder: Path) -> bytes:
    """The registry as it is read, and every file as it lies there."""
    found = house.registry._application.recorder.select_notifications(1, 10_000)
    return b"".join(each.state for each in found) + b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_secret_is_in_a_log_or_in_the_record(
    house: Served, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "uvicorn")
    with house.client() as nobody, house.client("alice") as alice:
        totp = pyotp.parse_uri(house.credentials.set_second_factor("bob", BY))
        assert isinstance(totp, pyotp.TOTP)
        house.credentials.set_password("bob", f"{PASSWORD} of bob", BY)
        begun = nobody.post("/v1/sessions", json={"user": "alice", "password": PASSWORD}).raise_for_status().json()
        assert nobody.post("/v1/sessions", json={"user": "alice", "password": WRONG}).status_code == 401
        assert nobody.post("/v1/sessions", json={"user": "bob", "password": f"{PASSWORD} of bob", "code": "000000"}).status_code == 401
        head = {"Authorization": f"Bearer {begun['token']}"}
        made = nobody.post("/v1/keys", json={}, headers=head).raise_for_status().json()
        turned = nobody.post(f"/v1/keys/{made['key']}/rotation", json={}, headers=head).raise_for_status().json()
        alice.post("/v1/orders", json=ORDER).raise_for_status()
        assert alice.post("/v1/orders", json={**ORDER, "price": WRONG[:40]}).status_code == 400
        failing = {"user": "root", "password": PASSWORD}
        monkeypatch.setattr(house.house.sessions, "begin", lambda *_: 1 / 0)
        assert nobody.post("/v1/sessions", json={"user": "alice", "password": PASSWORD, "code": ""}).status_code == 500
        assert nobody.post("/v1/sessions", json=failing).status_code == 401
        factor = nobody.post("/v1/me/second-factor", json={"password": PASSWORD}, headers=head).raise_for_status().json()["address"]
        of_alice = pyotp.parse_uri(factor)
        assert isinstance(of_alice, pyotp.TOTP)
        changed = {"password": PASSWORD, "code": of_alice.now(), "new_password": NEW}
        nobody.put("/v1/me/password", json=changed, headers=head).raise_for_status()
    secrets = {
        "password": PASSWORD,
        "a wrong password": WRONG,
        "token": begun["token"],
        "second factor": totp.secret,
        "second factor of alice": of_alice.secret,
        "new password": NEW,
        **{f"secret of a key {number}": each["secret"] for number, each in enumerate((made, turned))},
        **{f"passphrase of a key {number}": each["passphrase"] for number, each in enumerate((made, turned))},
    }
    logs, record = said(house, caplog), recorded(house, folder)
    assert "ZeroDivisionError" in logs, "the control: failures are logged, and read here"
    assert NEEDLE.encode() in record, "the control: names are in the record, and found"
    for what, secret in secrets.items():
        assert secret not in logs, what
        assert secret.encode() not in record, what
    for each in (made, turned):
        assert b64decode(each["secret"]) not in record
    assert house.registry.get(User, "alice").password.startswith("$argon2id$")
