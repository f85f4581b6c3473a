"""Who is asking: a signature that is his, made now, for the first time; or a session."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from adapters.doors.access import WINDOW_S, Access, Denied, Request
from adapters.registry.aggregates import Account, User
from adapters.registry.credentials import Credentials, Issued
from adapters.registry.registry import Act, Registry
from adapters.registry.seal import Seal
from eventstore.sqlite import SqliteLog

BY = Act("root", "a test")
S = 10**9
NOW_NS = 1_800_000_000 * S


class OneSession:
    """alice is logged in as `token`."""

    def find(self, token: str, now_ns: int) -> str | None:
        return "alice" if token == "token" else None


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    log = SqliteLog(tmp_path / "record.sqlite")
    made = Registry(log)
    made.add(
        User("alice", "f", ["trader"], *BY),
        User("bob", "f", ["trader"], *BY),
        Account("a", 7, "f", ["alice"], 0, *BY),
        Account("b", 8, "f", ["bob"], 0, *BY),
        Account("ab", 9, "f", ["alice", "bob"], 0, *BY),
    )
    yield made
    log.close()


@pytest.fixture
def credentials(registry: Registry) -> Credentials:
    return Credentials(registry, Seal(bytes(32)), PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture
def issued(credentials: Credentials) -> Issued:
    return credentials.issue("alice", BY, addresses=["192.0.2.0/24"])


@pytest.fixture
def access(registry: Registry, credentials: Credentials) -> Access:
    return Access(registry, credentials, OneSession(), lambda: NOW_NS)


Signed = Callable[..., Request]


@pytest.fixture
def signed(issued: Issued) -> Signed:
    """A request signed as its client would."""

    def sign(body: bytes = b"{}", time_ns: int = NOW_NS, nonce: str = "1") -> Request:
        message = f"{time_ns}\n{nonce}\nPOST\n/v1/orders?x=1\n".encode() + body
        signature = b64encode(hmac.digest(b64decode(issued.secret), message, "sha256")).decode()
        head = {"outcry-key": issued.key, "outcry-time": str(time_ns), "outcry-nonce": nonce, "outcry-signature": signature}
        return Request("POST", "/v1/orders?x=1", head, body, "192.0.2.5")

    return sign


def refusal(access: Access, request: Request) -> tuple[int, str]:
    with pytest.raises(Denied) as denied:
        access.caller(request)
    return denied.value.status, str(denied.value)


def test_a_signed_request_is_its_users_with_his_accounts_and_the_keys_scopes(access: Access, signed: Signed, issued: Issued) -> None:
    caller = access.caller(signed())
    assert (caller.user, caller.key) == ("alice", issued.key)
    assert (sorted(caller.scopes), sorted(caller.accounts)) == (["read", "trade"], [7, 9])


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{ }"},
        {"path": "/v1/orders?x=2"},
        {"method": "PUT"},
    ],
)
def test_nothing_that_was_signed_may_be_changed(access: Access, signed: Signed, change: dict[str, str]) -> None:
    assert refusal(access, signed()._replace(**change))[0] == 401  # type: ignore[arg-type] # fields of a request


@pytest.mark.parametrize("header", ["outcry-time", "outcry-nonce", "outcry-signature"])
def test_no_header_may_be_changed_or_left_out(access: Access, signed: Signed, header: str) -> None:
    request = signed()
    for other in ({**request.headers, header: "2"}, {name: value for name, value in request.headers.items() if name != header}):
        assert refusal(access, request._replace(headers=other))[0] == 401


def test_a_request_is_good_once(access: Access, signed: Signed) -> None:
    access.caller(signed())
    assert refusal(access, signed()) == (401, "this request was made before; make a new one, with another Outcry-Nonce")
    access.caller(signed(nonce="2"))


def test_a_nonce_of_a_forged_request_is_not_used_up(access: Access, signed: Signed) -> None:
    refusal(access, signed()._replace(body=b"forged"))
    access.caller(signed())


@pytest.mark.parametrize("off_s", [-WINDOW_S, WINDOW_S])
def test_a_request_is_good_for_a_while(access: Access, signed: Signed, off_s: int) -> None:
    access.caller(signed(time_ns=NOW_NS + off_s * S))
    assert "s from now by our clock" in refusal(access, signed(time_ns=NOW_NS + off_s * S + (1 if off_s > 0 else -1)))[1]


def test_a_key_is_refused_from_elsewhere_like_one_that_is_not_known(access: Access, signed: Signed) -> None:
    elsewhere = refusal(access, signed()._replace(address="198.51.100.1"))
    unknown = refusal(access, signed()._replace(headers={**signed().headers, "outcry-key": "nobody"}))
    assert elsewhere == unknown


def test_a_session_is_its_users(access: Access) -> None:
    caller = access.caller(Request("GET", "/v1/me", {"authorization": "Bearer token"}, b"", "192.0.2.5"))
    assert (caller.user, caller.key, sorted(caller.accounts)) == ("alice", "", [7, 9])
    assert refusal(access, Request("GET", "/v1/me", {"authorization": "Bearer other"}, b"", "192.0.2.5"))[0] == 401


def test_a_closed_users_session_has_ended(access: Access, registry: Registry) -> None:
    registry.change(User, "alice", lambda user: user.close(*BY))
    assert refusal(access, Request("GET", "/v1/me", {"authorization": "Bearer token"}, b"", "192.0.2.5"))[0] == 401


def test_nobody_at_all_is_told_how(access: Access) -> None:
    status, says = refusal(access, Request("GET", "/v1/me", {}, b"", "192.0.2.5"))
    assert (status, "Outcry-Key" in says) == (401, True)


def test_scope_and_account_are_asked_for_by_name(access: Access, signed: Signed) -> None:
    caller = access.caller(signed())
    caller.needs("trade")
    caller.trades_for(9)
    with pytest.raises(Denied, match="needs the scope operate"):
        caller.needs("operate")
    for account in (8, 1_000_000):
        with pytest.raises(Denied, match=f"account {account} is not one of yours"):
            caller.trades_for(account)


def test_an_account_that_is_given_to_somebody_is_his_at_once(access: Access, signed: Signed, registry: Registry) -> None:
    assert 8 not in access.caller(signed()).accounts
    registry.change(Account, "b", lambda account: account.set_users(["alice"], *BY))
    assert 8 in access.caller(signed(nonce="2")).accounts
