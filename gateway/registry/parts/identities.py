"""Reads the outside authorities and the keys of systems in a registry document.

Whether a certificate comes from a trusted authority is checked when the document is applied.
Invariant: revocation addresses come only from the document, never from a certificate.
Invariant: an authority without a revocation source is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast
from urllib.parse import urlsplit

from cryptography import x509

from contracts.base.errors import Theirs
from gateway.registry.records import ACTIVE, REVOKED, OutsideAuthority, StatedKey, Use
from gateway.registry.values import Values, kind
from security.algorithms import ALGORITHMS
from security.encryption_keys import EncryptKey
from security.keys import VerifyKey, load_certificate
from security.pki.authority import certificate_pem, system_of

KEY_ID: Final = re.compile(r"[A-Za-z0-9]+([-.][A-Za-z0-9]+)*")
ID_MAX: Final = 128
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_USES: Final = ("tls", "sign", "encrypt")
_MOST_HOURS: Final = 24 * 30


class Identities(Values):
    """The outside authorities and keys of a document."""

    def __init__(self) -> None:
        super().__init__()
        self._authorities: dict[str, OutsideAuthority] = {}
        self._keys: dict[str, StatedKey] = {}

    def _authority(self, path: str, raw: Any) -> None:
        item = self._mapping(path, raw, {"name", "uses", "certificates", "crl", "ocsp", "grace"})
        name = self._text(f"{path}.name", item.get("name"), _NAME, limit=64)
        uses = tuple(self._text(at, each, choice=_USES) for at, each in self._list(f"{path}.uses", item.get("uses")))
        if not uses:
            self._wrong(f"{path}.uses", "required", f"at least one of {', '.join(_USES)}", "none")
        crl = tuple(
            self._address(at, each, ("http", "https", "file"))
            for at, each in self._list(f"{path}.crl", item.get("crl", []))
        )
        ocsp = self._address(f"{path}.ocsp", item["ocsp"], ("http", "https")) if "ocsp" in item else None
        if not crl and not ocsp:
            self._wrong(path, "required", "crl or ocsp: where it says what it has revoked", "neither")
        grace = item.get("grace")
        if not isinstance(grace, int) or isinstance(grace, bool) or not 0 <= grace <= _MOST_HOURS:
            self._wrong(
                f"{path}.grace",
                "range",
                f"whole hours, 0 to {_MOST_HOURS}",
                kind(grace) if not isinstance(grace, int) else str(grace),
            )
            grace = 0
        if name in self._authorities:
            self._wrong(f"{path}.name", "unique", "a name of its own", f"{name}, used before")
        certificates = self._certificates(f"{path}.certificates", item.get("certificates"))
        self._authorities[name] = OutsideAuthority(
            name=name, uses=uses, certificates=certificates, crl=crl, ocsp=ocsp, grace=grace * 3600.0
        )

    def _certificates(self, path: str, raw: Any) -> str:
        """The root and the issuing authorities below it in one PEM."""
        text = self._text(path, raw, limit=100_000)
        try:
            certificates = x509.load_pem_x509_certificates(text.encode("ascii", "replace")) if text else []
        except ValueError:
            self._wrong(path, "format", "certificates in PEM", "something else")
            return ""
        for number, each in enumerate(certificates):
            try:
                issues = each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            except (x509.ExtensionNotFound, ValueError):
                issues = False
            if not issues:
                self._wrong(
                    path,
                    "authority",
                    "certificates of authorities alone (basicConstraints CA)",
                    f"certificate {number + 1} is none",
                )
        if certificates and not any(each.subject == each.issuer for each in certificates):
            self._wrong(path, "root", "the root too, since trust ends there", "issuing authorities alone")
        return "".join(certificate_pem(each).decode("ascii") for each in certificates)

    def _address(self, path: str, raw: Any, schemes: tuple[str, ...]) -> str:
        text = self._text(path, raw)
        parts = urlsplit(text)
        reached = (
            parts.path.startswith("/") and not parts.netloc
            if parts.scheme == "file"
            else bool(parts.hostname) and not parts.username
        )
        if text and (parts.scheme not in schemes or not reached):
            self._wrong(path, "format", f"an address: {', '.join(schemes)}", text)
        return text

    def _key(self, path: str, system: str, raw: Any) -> None:
        item = self._mapping(path, raw, {"id", "use", "certificate", "algorithm", "state"})
        name = self._text(f"{path}.id", item.get("id"), KEY_ID, limit=ID_MAX)
        use = self._text(f"{path}.use", item.get("use"), choice=_USES)
        algorithm = (
            self._text(f"{path}.algorithm", item["algorithm"], choice=tuple(sorted(ALGORITHMS)))
            if "algorithm" in item
            else None
        )
        state = self._text(f"{path}.state", item["state"], choice=(ACTIVE, REVOKED)) if "state" in item else None
        text = self._text(f"{path}.certificate", item.get("certificate"), limit=20_000)
        if name in self._keys:
            self._wrong(f"{path}.id", "unique", "an id of its own", f"{name}, used before")
        if not text:
            return
        try:
            named = system_of(load_certificate(text))
            if use == "encrypt":  # weak keys are refused for every use
                EncryptKey.from_certificate(name, system, text)
            else:
                VerifyKey.from_certificate(name, system, text, algorithm if use == "sign" else None)
        except Theirs as trouble:
            self._wrong(
                f"{path}.certificate", "key", "an X.509 certificate with an acceptable key", str(trouble.facts["rule"])
            )
            return
        if named not in (None, system):
            self._wrong(f"{path}.certificate", "system", f"a certificate of {system}", f"one of {named}")
        self._keys[name] = StatedKey(
            path=path,
            key_id=name,
            system=system,
            use=cast(Use, use),
            certificate=text,
            algorithm=algorithm,
            state=state,
        )
