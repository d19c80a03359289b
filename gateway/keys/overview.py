"""Lists the instance's own keys and its authority's certificates, for commands and pages. Opens no private key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Generation, Keyring
from gateway.settings import Settings
from security.keys import load_certificate, thumbprint

_DAY: Final = 86_400.0


class OwnKey(NamedTuple):
    """One generation of a key of the gateway. `current`: the newest; `there`: its private key was not destroyed."""

    generation: Generation
    current: bool
    there: bool
    valid_from: float
    valid_until: float
    thumbprint: str

    def age(self, now: float) -> int:
        """Days since it was made."""
        return max(0, int((now - self.valid_from) // _DAY))

    def left(self, now: float) -> int:
        """Days until its certificate ends; negative after that."""
        return int((self.valid_until - now) // _DAY)


class AuthorityCertificate(NamedTuple):
    """The root or an issuer. `there`: its private key lies on this host."""

    name: str
    subject: str
    valid_from: float
    valid_until: float
    thumbprint: str
    there: bool

    def left(self, now: float) -> int:
        """Days until it ends."""
        return int((self.valid_until - now) // _DAY)


def own_keys(settings: Settings) -> Iterator[OwnKey]:
    """By name, newest first."""
    keyring = Keyring(settings)
    for name in keyring.names:
        for number, each in enumerate(keyring.generations(name)):
            certificate = load_certificate(each.pem())
            yield OwnKey(each, number == 0, each.key.exists(), *_about(certificate))


def authorities(settings: Settings) -> Iterator[AuthorityCertificate]:
    """The root first, then the issuers, current and replaced."""
    own = EmbeddedAuthority(settings)
    yield _authority("root", own.root, own.root_is_here())
    for name in own.names():
        yield _authority(name, own.certificate(name), own.holds(name))


def _authority(name: str, certificate: x509.Certificate, there: bool) -> AuthorityCertificate:
    since, until, mark = _about(certificate)
    return AuthorityCertificate(name, certificate.subject.rfc4514_string(), since, until, mark, there)


def _about(certificate: x509.Certificate) -> tuple[float, float, str]:
    return (
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        thumbprint(certificate.public_bytes(Encoding.DER)),
    )
