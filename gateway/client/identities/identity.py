"""Loads a system's identity folder, made by enrolment or the sandbox: its keys and the trust in the gateway.

    system.json          the system's id, its key ids, the gateway's public address and key id
    tls.key, tls.crt     client certificate, with its issuers
    sign.key, sign.crt   the registered signing key
    ca.crt               trust anchors for the gateway's certificates
    gateway-sign.crt     the gateway's signing certificate, pinned
    log.vkey             verifier key of the audit log (C2SP signed-note)
    encrypt.key, encrypt.crt, gateway-encrypt.crt    optional; for contracts with encrypted bodies

Keys are PKCS#8 (RFC 5958) in PEM, encrypted where a passphrase is used.
Invariant: a key file that other users of the host can read is refused.
Invariant: an authority of `ca.crt` issued the pinned certificate; a newer one is accepted only from that authority and
name.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from contracts.base.errors import Failure
from contracts.base.words import Words, WordsFile
from gateway.client.errors import CLIENT_IDENTITY, CLIENT_IDENTITY_EXPIRED, CLIENT_IDENTITY_MODE, BadIdentity
from security.encryption_keys import DecryptKey, EncryptKey
from security.grants.windows import civil
from security.keys import SigningKey, VerifyKey
from security.pki.authority import GATEWAY, system_of
from security.pki.tls import SUITES_12
from security.transparency.checkpoint import NoteError, NoteKey

words = WordsFile(__file__)

ABOUT: Final = "system.json"
# What tells an issuer from the one that it replaced: a number; up to 0.2.0 the minute of its making.
_NUMBER: Final = re.compile(r" ([0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(?=,|$)")


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys of the system, and the trusted keys of the gateway."""

    folder: Path
    system: str
    agency: str
    gateway: str  # public base address, covered by signatures
    sign_key: SigningKey
    gateway_key: VerifyKey
    issuer: x509.Certificate  # of the gateway's signing certificates
    log_key: NoteKey
    decrypt_key: DecryptKey | None = None
    gateway_encrypt_key: EncryptKey | None = None
    passphrase: bytes | None = field(default=None, repr=False)

    @classmethod
    def load(cls, folder: str | Path, *, passphrase: bytes | None = None) -> Identity:
        """Raises `BadIdentity`, which names the file and its fault."""
        place = Path(folder)
        if not place.is_dir():
            raise bad(place, words("no-folder"))
        encrypts = (place / "encrypt.crt").exists()
        for name in ("tls.key", "sign.key", *(["encrypt.key"] if encrypts else [])):
            check_mode(place / name, 0o077, "600")
        # whoever can write these files decides which gateway is trusted
        for name in ("", ABOUT, "ca.crt", "gateway-sign.crt", "log.vkey"):
            check_mode(place / name, 0o022, "go-w")
        about = _about(place)
        gateway_key, issuer = _gateway(place, about["gateway_key_id"])
        has_encrypt_key = (place / "gateway-encrypt.crt").exists()
        identity = cls(
            folder=place,
            system=about["system"],
            agency=about["agency"],
            gateway=about["gateway"].rstrip("/"),
            sign_key=_signing_key(place, about, passphrase),
            gateway_key=gateway_key,
            issuer=issuer,
            log_key=_log_key(place),
            decrypt_key=_decrypt_key(place, about, passphrase) if encrypts else None,
            gateway_encrypt_key=_encrypt_key(place, about, issuer) if has_encrypt_key else None,
            passphrase=passphrase,
        )
        identity.tls()
        return identity

    def tls(self) -> ssl.SSLContext:
        """The TLS context towards the gateway: this system's certificate, and only the authorities of `ca.crt`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(SUITES_12)
        try:
            context.load_verify_locations(self.folder / "ca.crt")
            # an empty password: OpenSSL would otherwise ask at the terminal for that of an encrypted key
            context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key", password=self.passphrase or b"")
        except (OSError, ssl.SSLError) as wrong:
            raise bad(self.folder, f"tls.crt, tls.key, ca.crt: {short(wrong)}") from None
        return context

    def check_time(self, now: float) -> None:
        """Raises `BadIdentity` if a certificate of the system is not in force; the handshake's error is less clear."""
        for name in ("tls.crt", "sign.crt"):
            certificate = _certificates(self.folder, name)[0]
            start, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
            if not start <= now <= end:
                raise CLIENT_IDENTITY_EXPIRED(
                    file=self.folder / name,
                    valid_from=civil(start),
                    valid_until=civil(end),
                    now=civil(now),
                )

    def newer_signing_key(
        self, certificate: bytes, chain: Sequence[bytes], key_id: str, now: float
    ) -> VerifyKey | None:
        """A newer signing key of the gateway if the trusted issuer signed it; else None."""
        try:
            if not _signs(self._of_gateway(certificate, chain)):
                return None
            key = VerifyKey.from_certificate(key_id, GATEWAY, certificate)
            key.check_time(now)
        except (Failure, ValueError):
            return None
        return key

    def newer_encryption_key(
        self, certificate: bytes, chain: Sequence[bytes], key_id: str, now: float
    ) -> EncryptKey | None:
        """The same for the gateway's encryption key."""
        try:
            self._of_gateway(certificate, chain)
            key = EncryptKey.from_certificate(key_id, GATEWAY, certificate)
        except (Failure, ValueError):
            return None
        return key if key.in_time(now) else None

    def _of_gateway(self, certificate: bytes, chain: Sequence[bytes]) -> x509.Certificate:
        """Parse a certificate in the gateway's name from the trusted issuer; ValueError for any other.

        The issuer may be renewed: the same authority of `ca.crt` signed it, under the same name up to a number at the
        end. Other issuers of that authority, such as the one for TLS, do not count.
        """
        parsed = x509.load_pem_x509_certificate(certificate)
        offered = [x509.load_pem_x509_certificate(each) for each in chain]
        issuers = [self.issuer, *_renewals(self.issuer, offered, _certificates(self.folder, "ca.crt"))]
        if not any(_issued(parsed, each) for each in issuers) or system_of(parsed) != GATEWAY:
            raise ValueError("not the gateway's, or not by its issuer")
        return parsed


def named(folder: Path, file: str, certificate: x509.Certificate) -> str | None:
    """The system that a certificate names; `BadIdentity` where it names several."""
    try:
        return system_of(certificate)
    except Failure as failure:
        raise bad(folder, f"{file}: {failure.facts.get('rule', failure.code)}") from None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _renewals(
    issuer: x509.Certificate, offered: Iterable[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Which of the offered issuers replaced this one, or were replaced by it: the same anchor signed both."""
    above = [each for each in anchors if _issued(issuer, each)]
    return [
        each
        for each in offered
        if _name(each) == _name(issuer) and _is_authority(each) and any(_issued(each, anchor) for anchor in above)
    ]


def _name(authority: x509.Certificate) -> str:
    return _NUMBER.sub("", authority.subject.rfc4514_string({}))


def _signs(certificate: x509.Certificate) -> bool:
    """Whether it is for signatures: not an authority, nor the gateway's encryption key from the same issuer."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage.digital_signature and not usage.key_cert_sign


def check_mode(path: Path, forbidden: int, wanted: str) -> None:
    """Refuse a file whose POSIX mode has bits of `forbidden`. Windows has no modes."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as wrong:
        raise unread(path.parent, path.name, wrong) from None
    if os.name == "posix" and mode & forbidden:
        raise CLIENT_IDENTITY_MODE(file=path, mode=f"{mode:o}", wanted=wanted)


def write_private(path: Path, data: bytes) -> None:
    """Create a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read; one that is there is replaced as a whole."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    write_private(part, data)
    part.replace(path)


def for_owner_alone(path: Path) -> None:
    """Create the file with mode 600 before SQLite opens it, or set its mode. Windows: the folder's access list.

    A file that is there is not opened: to close it would end the locks that this process has on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        with suppress(OSError):  # of another owner, whose mode counts
            path.chmod(0o600)


def _about(place: Path) -> dict[str, str]:
    try:
        about: dict[str, str] = json.loads((place / ABOUT).read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise bad(place, f"{ABOUT}: {short(wrong)}") from None
    for name in ("system", "agency", "sign_key_id", "gateway", "gateway_key_id"):
        if not isinstance(about, dict) or not isinstance(about.get(name), str) or not about[name]:
            raise bad(place, f"{ABOUT}: {name}")
    if not about["gateway"].startswith("https://"):
        raise bad(place, f"{ABOUT}: gateway ≠ https://…")
    return about


def _signing_key(place: Path, about: dict[str, str], passphrase: bytes | None) -> SigningKey:
    try:
        return SigningKey.from_pem(
            about["sign_key_id"],
            _read(place, "sign.key"),
            _read(place, "sign.crt"),
            system=about["system"],
            password=passphrase,
        )
    except Failure as failure:
        raise bad(place, f"sign.key, sign.crt: {failure.facts.get('rule', failure.code)}") from None
    except (ValueError, TypeError) as wrong:  # not PEM, or the passphrase is missing or wrong
        raise bad(place, f"sign.key: {short(wrong)}") from None


def _decrypt_key(place: Path, about: dict[str, str], passphrase: bytes | None) -> DecryptKey:
    key_id = about.get("encrypt_key_id")
    if not key_id:
        raise bad(place, f"{ABOUT}: encrypt_key_id")
    try:
        return DecryptKey.from_pem(
            key_id, _read(place, "encrypt.key"), _read(place, "encrypt.crt"), password=passphrase
        )
    except Failure as failure:
        raise bad(place, f"encrypt.key, encrypt.crt: {failure.facts.get('rule', failure.code)}") from None
    except (ValueError, TypeError) as wrong:
        raise bad(place, f"encrypt.key: {short(wrong)}") from None


def _encrypt_key(place: Path, about: dict[str, str], issuer: x509.Certificate) -> EncryptKey:
    """The gateway's pinned encryption key, from the issuer of its signing key, or from one before or after it."""
    key_id, (leaf, *rest) = about.get("gateway_encrypt_key_id"), _certificates(place, "gateway-encrypt.crt")
    if not key_id:
        raise bad(place, f"{ABOUT}: gateway_encrypt_key_id")
    anchors = _certificates(place, "ca.crt")
    issuers = [issuer, *_renewals(issuer, [*anchors, *rest], anchors)]
    if named(place, "gateway-encrypt.crt", leaf) not in (None, GATEWAY) or not any(
        _issued(leaf, each) for each in issuers
    ):
        raise bad(place, "gateway-encrypt.crt ≠ gateway-sign.crt: subjectAltName, issuer")
    try:
        return EncryptKey.from_certificate(key_id, GATEWAY, _read(place, "gateway-encrypt.crt"))
    except Failure as failure:
        raise bad(place, f"gateway-encrypt.crt: {failure.facts.get('rule', failure.code)}") from None


def _gateway(place: Path, key_id: str) -> tuple[VerifyKey, x509.Certificate]:
    """The gateway's pinned key and its issuer: an authority of `ca.crt`, or one directly below in gateway-sign.crt."""
    leaf, *rest = _certificates(place, "gateway-sign.crt")
    if named(place, "gateway-sign.crt", leaf) not in (None, GATEWAY) or not _signs(leaf):
        raise bad(place, "gateway-sign.crt: subjectAltName, keyUsage")
    anchors = _certificates(place, "ca.crt")
    between = [each for each in rest if _is_authority(each) and any(_issued(each, anchor) for anchor in anchors)]
    issuer = next((each for each in (*anchors, *between) if _issued(leaf, each)), None)
    if issuer is None:
        raise bad(place, "gateway-sign.crt ∉ ca.crt")
    try:
        return VerifyKey.from_certificate(key_id, GATEWAY, _read(place, "gateway-sign.crt")), issuer
    except Failure as failure:
        raise bad(place, f"gateway-sign.crt: {failure.facts.get('rule', failure.code)}") from None


def _log_key(place: Path) -> NoteKey:
    try:
        return NoteKey.from_text(_read(place, "log.vkey").decode("ascii"))
    except (NoteError, UnicodeDecodeError) as wrong:
        raise bad(place, f"log.vkey: {wrong}") from None


def _certificates(place: Path, name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(place, name))
    except ValueError as wrong:
        raise bad(place, f"{name}: {short(wrong)}") from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _read(place: Path, name: str) -> bytes:
    try:
        return (place / name).read_bytes()
    except OSError as wrong:
        raise unread(place, name, wrong) from None


def bad(place: Path, reason: str | Words) -> BadIdentity:
    return CLIENT_IDENTITY(folder=place, reason=reason)


def unread(place: Path, name: object, wrong: Exception) -> BadIdentity:
    """The error for a file that cannot be read."""
    reason = words("no-file") if isinstance(wrong, FileNotFoundError) else Words(short(wrong), short(wrong))
    return bad(place, Words(f"{name}: {reason.vi}", f"{name}: {reason.en}"))


def short(wrong: Exception) -> str:
    """The error message in one line."""
    message = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else str(wrong)
    return message.split("\n")[0][:120] or type(wrong).__name__
