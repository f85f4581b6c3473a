"""A test authority of a stack: it vouches for servers on this machine and nothing else, so that clients can check whom they talk to."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FILE: Final = "authority.pem"  # everybody may know it
NAME: Final = "localhost"
ADDRESSES: Final = ("127.0.0.1", "::1")
AUTHORITY_DAYS: Final = 3_650
SERVER_DAYS: Final = 397  # as long as clients take any certificate for
RENEWED_DAYS: Final = 30  # before the end
_SKEW: Final = timedelta(hours=1)


class Issued(NamedTuple):
    """In PEM: a certificate and its private key."""

    certificate: str
    key: str


class Authority:
    """The authority in *folder*, made when there is none: `authority.pem`, which everybody may know, and its key, which only we read."""

    def __init__(self, folder: Path) -> None:
        self.file, key_file = folder / FILE, folder / "authority.key"
        if not (self.file.exists() and key_file.exists()):
            made = _authority()
            _write(key_file, made.key, 0o600)
            _write(self.file, made.certificate, 0o644)
        self._certificate = x509.load_pem_x509_certificate(self.file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey), "we made it"
        self._key = key

    def issue(self) -> Issued:
        """A certificate for a server at this machine's loopback interface."""
        names: list[x509.GeneralName] = [x509.DNSName(NAME), *(x509.IPAddress(ip_address(each)) for each in ADDRESSES)]
        key = generate_private_key(SECP256R1())
        builder = _builder("Outcry", self._certificate.subject, key, SERVER_DAYS)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        return _issued(builder.sign(self._key, hashes.SHA256()), key)

    def vouches_for(self, certificate: Path) -> bool:
        """Whether the certificate in that file is ours, and will last for a while. A missing one is not."""
        try:
            found = x509.load_pem_x509_certificate(certificate.read_bytes())
            found.verify_directly_issued_by(self._certificate)
        except Exception:  # noqa: BLE001 - whatever is there instead, a new one takes its place
            return False
        return found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=RENEWED_DAYS)


def _authority() -> Issued:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Outcry test authority")])
    cannot = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = x509.KeyUsage(**dict.fromkeys((*cannot, "encipher_only", "decipher_only"), False), key_cert_sign=True, crl_sign=True)
    permitted: list[x509.GeneralName] = [x509.DNSName(NAME), *(x509.IPAddress(ip_network(each)) for each in ADDRESSES)]
    builder = _builder("Outcry test authority", name, key, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _issued(builder.sign(key, hashes.SHA256()), key)


def _builder(subject: str, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SKEW,
        not_valid_after=now + timedelta(days=days),
    )


def _issued(certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> Issued:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(certificate.public_bytes(Encoding.PEM).decode(), private.decode())


def _write(file: Path, text: str, mode: int) -> None:
    new = file.with_name(file.name + ".new")
    with open(new, "w", opener=lambda path, flags: os.open(path, flags, mode)) as written:
        written.write(text)
    new.replace(file)
