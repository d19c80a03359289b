"""Validates a certificate's path to an authority trusted for its use (RFC 5280 §6, by cryptography's path validation).

The library checks signatures, validity, basic and name constraints, path length and the issuers' key usage. The leaf's
use is checked here, since neither signing certificates nor those of a national authority name a host.
Invariant: only the given authorities are trusted. `security.pki.revocation` checks revocation, at every use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from security.errors import KEY_UNACCEPTABLE, KEY_UNTRUSTED
from security.keys import UNREADABLE

ANY_USE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


class Trust(NamedTuple):
    """An authority: its root and issuers. `name` is None for the embedded one."""

    name: str | None
    uses: tuple[str, ...]
    certificates: tuple[x509.Certificate, ...]


def authority_of(certificate: x509.Certificate, trusts: Iterable[Trust], use: str, now: float) -> str | None:
    """The name of the authority that certifies a certificate. KEY_UNTRUSTED if none does."""
    _check_use(certificate, use)
    why = "—"
    for trust in trusts:
        if use in trust.uses and trust.certificates:
            try:
                path(certificate, trust.certificates, now)
                return trust.name
            except ValueError as error:
                if certificate.issuer in {each.subject for each in trust.certificates}:
                    why = str(error)
    raise KEY_UNTRUSTED(issuer=certificate.issuer.rfc4514_string(), use=use, rule=why[:200])


def path(certificate: x509.Certificate, authority: Sequence[x509.Certificate], now: float) -> list[x509.Certificate]:
    """The certificate and those above it, up to a root. ValueError if there is no valid path."""
    roots = [each for each in authority if each.issuer == each.subject]
    between = [each for each in authority if each.issuer != each.subject]
    if not roots:
        raise ValueError("no root")
    builder = PolicyBuilder().store(Store(roots)).time(datetime.fromtimestamp(now, UTC).replace(tzinfo=None))
    builder = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    try:
        return list(builder.build_client_verifier().verify(certificate, between).chain)
    except (VerificationError, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from None


def _check_use(certificate: x509.Certificate, use: str) -> None:
    """A certificate that restricts its use must permit this one."""
    try:
        extensions = certificate.extensions
    except UNREADABLE:
        raise KEY_UNACCEPTABLE(rule="X.509 extensions") from None
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise KEY_UNACCEPTABLE(rule="basicConstraints CA:TRUE")
        if isinstance(value, x509.KeyUsage):
            fits = value.digital_signature if use != "encrypt" else value.key_encipherment or value.key_agreement
            if not fits:
                raise KEY_UNACCEPTABLE(rule=f"keyUsage, {use}")
        if (
            isinstance(value, x509.ExtendedKeyUsage)
            and use == "tls"
            and not {ExtendedKeyUsageOID.CLIENT_AUTH, ANY_USE} & set(value)
        ):
            raise KEY_UNACCEPTABLE(rule="extendedKeyUsage clientAuth")
