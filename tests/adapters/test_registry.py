"""Who may do what: recorded by name, seen by every process that has the record open, proved by keys and passwords."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.registry.aggregates import Account, ApiKey, User
from adapters.registry.credentials import BadCredential, Credentials, LoginRefused, has_passphrase, may_use
from adapters.registry.registry import Act, Registered, Registry, Unregistered
from adapters.registry.seal import BadSeal, Seal, of_folder
from eventstore.blocks import genesis
from eventstore.sqlite import SqliteLog

BY = Act("root", "a test")
S = 10**9
NOW_NS = 1_800_000_000 * S
PASSWORD = "correct horse battery"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path / "record.sqlite")
    yield log
    log.close()


@pytest.fixture
def registry(record: SqliteLog) -> Registry:
    made = Registry(record)
    made.add(User("alice", "ACME Trading", ["trader"], *BY))
    return made


@pytest.fixture
def credentials(registry: Registry) -> Credentials:
    return Credentials(registry, Seal(bytes(32)), PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


# -- the record ---------------------------------------------------------------------------------------------------------


def test_a_name_is_taken_for_ever(registry: Registry) -> None:
    with pytest.raises(Registered, match="User of that name"):
        registry.add(User("alice", "another", [], *BY))


def test_several_are_registered_together_or_not_at_all(registry: Registry) -> None:
    with pytest.raises(Registered):
        registry.add(User("bob", "f", [], *BY), User("alice", "f", [], *BY))
    assert registry.find(User, "bob") is None
    assert Registry(registry_log(registry)).find(User, "bob") is None


def registry_log(registry: Registry) -> SqliteLog:
    log = registry._application._log
    assert isinstance(log, SqliteLog)
    return log


def test_another_process_sees_what_was_registered_once_it_looks(registry: Registry, tmp_path: Path) -> None:
    other = Registry(SqliteLog(tmp_path / "record.sqlite"))
    registry.add(Account("alice", 7, "ACME Trading", ["alice"], 0, *BY))
    assert other.find(Account, "alice") is None
    assert [recorded.aggregate.number for recorded in other.follow()] == [7]
    assert other.get(Account, "alice").users == ["alice"]


def test_of_two_processes_that_register_one_name_one_is_told(registry: Registry, tmp_path: Path) -> None:
    other = Registry(SqliteLog(tmp_path / "record.sqlite"))
    registry.add(User("bob", "f", [], *BY))
    with pytest.raises(Registered, match="meanwhile"):
        other.add(User("bob", "g", [], *BY))
    assert other.get(User, "bob").firm == "f"


def test_acts_of_several_processes_at_once_are_all_kept(registry: Registry, tmp_path: Path) -> None:
    others = [Registry(SqliteLog(tmp_path / "record.sqlite")) for _ in range(3)]

    def refuse(process: Registry) -> None:
        for _ in range(5):
            process.change(User, "alice", lambda user: user.refuse_login("192.0.2.1", "password", NOW_NS))

    with ThreadPoolExecutor() as pool:
        list(pool.map(refuse, others))
    registry.follow()
    assert registry.get(User, "alice").failures == 15


def test_what_an_act_refuses_is_not_recorded(registry: Registry) -> None:
    def refuse(_user: User) -> None:
        raise BadCredential("no")

    before = registry.seen
    with pytest.raises(BadCredential):
        registry.change(User, "alice", refuse)
    assert registry.follow() == []
    assert registry.seen == before


def test_what_is_not_registered_cannot_be_changed(registry: Registry) -> None:
    with pytest.raises(Unregistered, match="no User 'eve' is registered; 1 others are"):
        registry.change(User, "eve", lambda user: user.close(*BY))


def test_every_act_stands_in_the_chain_with_actor_and_reason(registry: Registry, record: SqliteLog) -> None:
    registry.change(User, "alice", lambda user: user.set_roles(["operator"], "root", "promoted"))
    assert [(type(event).__name__, event.actor, event.reason) for _, event, _ in registry.recorded()] == [
        ("UserRegistered", "root", "a test"),
        ("RolesSet", "root", "promoted"),
    ]
    hashes = [block.prev_hash for block in record.read(0)]
    assert hashes[0] == genesis(0).hash
    assert len(set(hashes)) == 2


# -- passwords ----------------------------------------------------------------------------------------------------------


def test_who_has_the_password_is_let_in_and_it_is_on_record(credentials: Credentials, registry: Registry) -> None:
    credentials.set_password("alice", PASSWORD, BY)
    assert credentials.log_in("alice", PASSWORD, "", "192.0.2.1", NOW_NS).name == "alice"
    *_, (_, event, _) = registry.recorded()
    assert (type(event).__name__, event.address, event.time_ns) == ("LoggedIn", "192.0.2.1", NOW_NS)


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("eve", PASSWORD), ("alice", "")])
def test_a_refused_login_does_not_say_what_was_wrong(credentials: Credentials, name: str, password: str) -> None:
    credentials.set_password("alice", PASSWORD, BY)
    with pytest.raises(LoginRefused, match=r"^name, password or code are wrong$"):
        credentials.log_in(name, password, "", "192.0.2.1", NOW_NS)


def test_without_a_password_nobody_logs_in(credentials: Credentials) -> None:
    with pytest.raises(LoginRefused):
        credentials.log_in("alice", "", "", "192.0.2.1", NOW_NS)


def test_who_guesses_waits_twice_as_long_each_time_even_with_the_right_password(credentials: Credentials) -> None:
    credentials.set_password("alice", PASSWORD, BY)

    def refused(password: str, now_ns: int) -> int:
        with pytest.raises(LoginRefused) as said:
            credentials.log_in("alice", password, "", "192.0.2.1", now_ns)
        return said.value.retry_after_s

    now_ns, waits_s = NOW_NS, []
    assert [refused("wrong", now_ns) for _ in range(2)] == [0, 0]
    for _ in range(3):
        assert refused("wrong", now_ns) == 0
        waits_s.append(refused(PASSWORD, now_ns))
        now_ns += waits_s[-1] * S
    assert waits_s == [1, 2, 4]
    assert credentials.log_in("alice", PASSWORD, "", "192.0.2.1", now_ns).failures == 0


def test_a_second_factor_is_asked_for_once_it_is_set(credentials: Credentials) -> None:
    credentials.set_password("alice", PASSWORD, BY)
    totp = pyotp.parse_uri(credentials.set_second_factor("alice", BY))
    assert isinstance(totp, pyotp.TOTP)
    with pytest.raises(LoginRefused):
        credentials.log_in("alice", PASSWORD, "", "192.0.2.1", NOW_NS)
    code = totp.at(NOW_NS // S)
    assert credentials.log_in("alice", PASSWORD, code, "192.0.2.1", NOW_NS).name == "alice"


@pytest.mark.parametrize("password", ["short", "x" * 257])
def test_a_password_has_a_length(credentials: Credentials, password: str) -> None:
    with pytest.raises(BadCredential, match="right would be 12 to 256"):
        credentials.set_password("alice", password, BY)


# -- keys ---------------------------------------------------------------------------------------------------------------


def test_a_signature_proves_the_secret(credentials: Credentials, registry: Registry) -> None:
    issued = credentials.issue("alice", BY)
    key = registry.get(ApiKey, issued.key)
    signature = hmac.digest(b64decode(issued.secret), b"message", "sha256")
    assert credentials.is_signed(key, b"message", signature)
    assert not credentials.is_signed(key, b"massage", signature)
    assert has_passphrase(key, issued.passphrase)
    assert not has_passphrase(key, "")


def test_an_ed25519_key_never_leaves_the_client(credentials: Credentials, registry: Registry) -> None:
    private = Ed25519PrivateKey.generate()
    public = b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    issued = credentials.issue("alice", BY, kind="ed25519", public_key=public)
    assert (issued.secret, issued.passphrase) == ("", "")
    key = registry.get(ApiKey, issued.key)
    assert credentials.is_signed(key, b"message", private.sign(b"message"))
    assert not credentials.is_signed(key, b"message", bytes(64))


def test_secrets_do_not_stand_in_the_record(credentials: Credentials, registry: Registry, record: SqliteLog) -> None:
    credentials.set_password("alice", PASSWORD, BY)
    uri = credentials.set_second_factor("alice", BY)
    issued = credentials.issue("alice", BY)
    kept = b"".join(block.payload for block in record.read(0))
    secrets = [PASSWORD, pyotp.parse_uri(uri).secret, issued.secret, issued.passphrase]
    assert [secret for secret in secrets if secret.encode() in kept or b64decode(issued.secret) in kept] == []
    assert issued.key.encode() in kept


def test_a_key_may_no_more_than_its_user(credentials: Credentials, registry: Registry) -> None:
    with pytest.raises(BadCredential, match="alice has no right to operate; right would be fund, read, trade"):
        credentials.issue("alice", BY, scopes=["operate"])
    key = registry.get(ApiKey, credentials.issue("alice", BY, scopes=["read", "trade"]).key)
    assert may_use(key, registry.get(User, "alice"), "192.0.2.1", NOW_NS) == {"read", "trade"}
    compliance = registry.change(User, "alice", lambda user: user.set_roles(["compliance"], *BY))
    assert may_use(key, compliance, "192.0.2.1", NOW_NS) == {"read"}
    closed = registry.change(User, "alice", lambda user: user.close(*BY))
    assert may_use(key, closed, "192.0.2.1", NOW_NS) == frozenset()


def test_a_key_is_good_in_its_networks_only(credentials: Credentials, registry: Registry) -> None:
    key = registry.get(ApiKey, credentials.issue("alice", BY, addresses=["192.0.2.0/24", "2001:db8::1"]).key)
    alice = registry.get(User, "alice")
    assert may_use(key, alice, "192.0.2.77", NOW_NS)
    assert may_use(key, alice, "2001:db8::1", NOW_NS)
    assert not may_use(key, alice, "198.51.100.1", NOW_NS)
    with pytest.raises(BadCredential, match="'home' is no network"):
        credentials.issue("alice", BY, addresses=["home"])


def test_a_rotated_key_is_good_for_the_overlap(credentials: Credentials, registry: Registry) -> None:
    old = credentials.issue("alice", BY)
    new = credentials.rotate(old.key, BY, overlap_s=60, now_ns=NOW_NS)
    alice = registry.get(User, "alice")
    assert may_use(registry.get(ApiKey, old.key), alice, "192.0.2.1", NOW_NS + 59 * S)
    assert not may_use(registry.get(ApiKey, old.key), alice, "192.0.2.1", NOW_NS + 60 * S)
    assert may_use(registry.get(ApiKey, new.key), alice, "192.0.2.1", NOW_NS + 60 * S)


# -- seals --------------------------------------------------------------------------------------------------------------


def test_a_sealed_secret_opens_only_with_its_key_and_for_its_purpose(tmp_path: Path) -> None:
    seal = of_folder(tmp_path)
    sealed = seal.close(b"secret", "key 1")
    assert of_folder(tmp_path).open(sealed, "key 1") == b"secret"
    with pytest.raises(BadSeal, match="key 2"):
        seal.open(sealed, "key 2")
    with pytest.raises(BadSeal, match=r"seal\.key"):
        Seal(bytes(32)).open(sealed, "key 1")


def test_processes_that_begin_at_once_have_one_key_of_seals(tmp_path: Path) -> None:
    """As two gateways of a stack do: none reads what another has not written whole."""
    with ThreadPoolExecutor(16) as pool:
        seals = list(pool.map(lambda _: of_folder(tmp_path), range(64)))
    assert len({each.derive("sessions") for each in seals}) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["seal.key"]


def test_the_key_of_seals_is_its_owners_alone(tmp_path: Path) -> None:
    of_folder(tmp_path)
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(BadSeal, match="has 16 bytes; right would be 32"):
        Seal(bytes(16))
