"""Reads and renews the embedded authority's folder: its issuers and what they may certify.

    ca/    root.crt  tls.crt  tls.key  sign.crt  sign.key;  tls-1.crt … of a replaced one;  anchors.pem  of all
           root.key  only while an issuer is renewed: a production instance keeps it offline
           of a sandbox: vendors.crt  vendors.key  that certify vendors, vendors-1.crt … of a replaced one;  systems.pem
           of all that certify systems

Invariants:
- Issuing needs no root key, nor does the vendors' issuer, which signs itself.
- A replaced issuer keeps its key, since it still signs its revocation lists, and stays trusted until it ends.
- `anchors.pem` names all issuers of the province, and is replaced in one step.
- The vendors' issuer is none of them, and not below the root: no listener, browser or client trusts what it issues. It
  is trusted where systems are recognised (`systems.pem`): who calls the doors, and who answers the gateway's calls.
"""

from __future__ import annotations

import os
from typing import Final, Literal

from cryptography import x509

from gateway.durable import write_new
from gateway.keys.errors import AUTHORITY_NO_ISSUER, AUTHORITY_ROOT_OFFLINE
from gateway.keys.key_encryption import AtRest
from gateway.settings import Settings
from security.keys import load_certificate
from security.pki import authority
from security.pki.authority import Authority
from security.pki.chains import Trust

ISSUERS: Final = ("tls", "sign")
VENDORS: Final = "vendors"
Issuer = Literal["tls", "sign", "vendors"]
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
        """The issuers, current and replaced: `tls`, `sign`, `tls-1`; of a sandbox also `vendors`."""
        known = (*ISSUERS, VENDORS)
        return sorted(path.stem for path in self._folder.glob("*.crt") if _kind(path.stem) in known)

    def issuer(self, name: str) -> Authority:
        certificate = (self._folder / f"{name}.crt").read_bytes()
        above = [] if _kind(name) == VENDORS else [(self._folder / "root.crt").read_bytes()]
        return self._at_rest.private(
            self._folder / f"{name}.key", lambda pem, password: Authority.from_pem(certificate, pem, above, password)
        )

    def certificate(self, name: str) -> x509.Certificate:
        return load_certificate((self._folder / f"{name}.crt").read_bytes())

    def trust(self) -> Trust:
        """Of the province: without the vendors' issuer."""
        names = [name for name in self.names() if _kind(name) != VENDORS]
        return Trust(None, USES, (self.root, *map(self.certificate, names)))

    def holds(self, name: str) -> bool:
        """Whether an issuer's key is here."""
        return (self._folder / f"{name}.key").exists()

    def root_is_here(self) -> bool:
        return (self._folder / "root.key").exists()

    def renew(self, name: Issuer, now: float) -> tuple[str, x509.Certificate]:
        """Replaces an issuer, which gets a number: returns (that name, the new certificate).

        Raises `authority.no-issuer` if there is none of that name, `authority.root-offline` without the root key: all
        but the vendors' issuer are below it.
        """
        folder = self._folder
        if not (folder / f"{name}.crt").exists():
            raise AUTHORITY_NO_ISSUER(name=name)
        number = 1 + sum(each.startswith(f"{name}-") for each in self.names())
        before = f"{name}-{number}"
        subject = f"{self._name} {name} issuer {number + 1}"  # clients know an issuer's successor by it
        issuer = self._made(name, subject, now)
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

    def _made(self, name: Issuer, subject: str, now: float) -> Authority:
        if name == VENDORS:
            return authority.make_hostless(subject, now)
        file, own = self._folder / "root.key", (self._folder / "root.crt").read_bytes()
        if not file.exists():
            raise AUTHORITY_ROOT_OFFLINE(file=str(file))
        root = self._at_rest.private(file, lambda pem, password: Authority.from_pem(own, pem, password=password))
        return authority.make_issuer(root, subject, now)

    def ensure_vendors(self, now: float) -> bool:
        """Makes the vendors' issuer of a sandbox, if there is none. Whether it was made."""
        folder, made = self._folder, not (self._folder / f"{VENDORS}.crt").exists()
        if made:
            issuer = authority.make_hostless(f"{self._name} {VENDORS} issuer", now)
            (folder / f"{VENDORS}.key").unlink(missing_ok=True)  # left by a crash
            write_new(folder / f"{VENDORS}.key", issuer.private_pem(self._at_rest.password))
            self._put(f"{VENDORS}.crt", issuer.pem)
        if made or not (folder / "systems.pem").exists():
            self._write_anchors()
        return made

    def _write_anchors(self) -> None:
        anchors = b"".join(map(authority.certificate_pem, self.trust().certificates))
        self._put("anchors.pem", anchors)
        vendors = [name for name in self.names() if _kind(name) == VENDORS]
        if vendors:
            others = b"".join((self._folder / f"{name}.crt").read_bytes() for name in vendors)
            self._put("systems.pem", anchors + others)

    def _put(self, name: str, content: bytes) -> None:
        part = self._folder / f"{name}.new"
        part.write_bytes(content)
        os.replace(part, self._folder / name)


def _kind(name: str) -> str:
    """`tls` of `tls` and `tls-1`."""
    return name.partition("-")[0]
