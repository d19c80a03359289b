"""Reads and renews the embedded authority's folder: its issuers and what they may certify.

    ca/    root.crt  tls.crt  tls.key  sign.crt  sign.key;  tls-1.crt … of a replaced one;  anchors.pem  of all
           root.key  only while an issuer is renewed: a production instance keeps it offline

Invariants:
- Issuing needs no root key.
- A replaced issuer keeps its key, since it still signs its revocation lists, and stays trusted until it ends.
- `anchors.pem` names all issuers, and is replaced in one step.
"""

from __future__ import annotations

import os
from typing import Final, Literal

from cryptography import x509

from gateway.durable import write_new
from gateway.keys.errors import AUTHORITY_ROOT_OFFLINE
from gateway.keys.key_encryption import AtRest
from gateway.settings import Settings
from security.keys import load_certificate
from security.pki import authority
from security.pki.authority import Authority
from security.pki.chains import Trust

ISSUERS: Final = ("tls", "sign")
Issuer = Literal["tls", "sign"]
USES: Final = ("tls", "sign", "encrypt")


class EmbeddedAuthority:
    """The folder, read at each call: another process may renew."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.authority
        self._name = settings.name
        self._at_rest = AtRest.of(settings)

    @property
    def root(self) -> x509.Certificate:
        return load_certificate((self._folder / "root.crt").read_bytes())

    def names(self) -> list[str]:
        """The issuers, current and replaced: `tls`, `sign`, `tls-1`."""
        return sorted(path.stem for path in self._folder.glob("*.crt") if path.stem.partition("-")[0] in ISSUERS)

    def issuer(self, name: str) -> Authority:
        certificate, root = (self._folder / f"{name}.crt").read_bytes(), (self._folder / "root.crt").read_bytes()
        return self._at_rest.private(
            self._folder / f"{name}.key", lambda pem, password: Authority.from_pem(certificate, pem, [root], password)
        )

    def certificate(self, name: str) -> x509.Certificate:
        return load_certificate((self._folder / f"{name}.crt").read_bytes())

    def trust(self) -> Trust:
        return Trust(None, USES, (self.root, *(self.certificate(name) for name in self.names())))

    def holds(self, name: str) -> bool:
        """Whether an issuer's key is here."""
        return (self._folder / f"{name}.key").exists()

    def root_is_here(self) -> bool:
        return (self._folder / "root.key").exists()

    def renew(self, name: Issuer, now: float) -> tuple[str, x509.Certificate]:
        """Replaces an issuer, which gets a number: returns (that name, the new certificate). Needs the root key."""
        folder, file = self._folder, self._folder / "root.key"
        if not file.exists():
            raise AUTHORITY_ROOT_OFFLINE(file=str(file))
        own = (folder / "root.crt").read_bytes()
        root = self._at_rest.private(file, lambda pem, password: Authority.from_pem(own, pem, password=password))
        number = 1 + sum(each.startswith(f"{name}-") for each in self.names())
        before = f"{name}-{number}"
        subject = f"{self._name} {name} issuer {number + 1}"  # clients know an issuer's successor by it
        issuer = authority.make_issuer(root, subject, now)
        parts = {"key": issuer.private_pem(self._at_rest.password), "crt": issuer.pem}
        for kind, content in parts.items():
            new = folder / f"{name}.{kind}.new"
            new.unlink(missing_ok=True)  # left by a crash
            write_new(new, content)
            (folder / f"{before}.{kind}").unlink(missing_ok=True)  # also left by a crash
            os.link(folder / f"{name}.{kind}", folder / f"{before}.{kind}")
        for kind in parts:
            os.replace(folder / f"{name}.{kind}.new", folder / f"{name}.{kind}")
        self._write_anchors()
        return before, issuer.certificate

    def _write_anchors(self) -> None:
        part = self._folder / "anchors.pem.new"
        part.write_bytes(b"".join(authority.certificate_pem(each) for each in self.trust().certificates))
        os.replace(part, self._folder / "anchors.pem")
