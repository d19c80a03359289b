"""Contracts, keys and a filled registry for the tests of registry, adapters, delivery and APIs; all made when they
run."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting, officers, proposals
from gateway.registry.changes.document import Document, parse
from gateway.registry.changes.proposals import Effect
from gateway.registry.own_feed import WITH_CATALOGUE
from gateway.sandbox import people
from security.algorithms import new_private
from security.grants.approvals import approve, public_pem
from security.keys import SigningKey, load_certificate, thumbprint
from security.pki.authority import Authority, issue_signing, issue_tls, make_issuer, make_root, private_pem
from tests.journal.databases import migrated
from tests.registry import copying

NOW = 1_795_503_600.0  # 2026-11-24T07:00:00Z
NOWHERE = "https://localhost:1"
OFFICERS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("can-bo-an-toan-1", "can-bo-an-toan-2")}
PERSONS = {name: ec.generate_private_key(ec.SECP256R1()) for name in (people.OPERATOR, people.AUDITOR)}
# What stands in braces in the province: the addresses of the systems, the keys of officers and persons.
THIRD = {"can-bo-an-toan-3": ec.generate_private_key(ec.SECP256R1())}  # in the province of the sandbox alone
ENDPOINTS = dict.fromkeys(("do-thi", "kinh-te", "mo-phong", "truong-ha"), NOWHERE) | {
    name: public_pem(key.public_key()) for name, key in (OFFICERS | PERSONS | THIRD).items()
}
WHOLE = resources.files("gateway.sandbox").joinpath("province.yaml").read_text("utf-8")
# The sandbox's, with just the two officers whose signatures are needed.
PROVINCE = re.sub(r"  - id: can-bo-an-toan-3\n(?:    .*\n)+", "", WHOLE)
# The province's own routes of documents, for tests that have others.
OF_DOCUMENTS = re.compile(
    r"  - contract: official-document/v1\n    operation: sendDocument\n(?:    when: .*\n)?    system: .*\n"
)


@lru_cache(maxsize=1)
def bundles() -> tuple[Bundle, ...]:
    return tuple(Bundle.from_folder(folder) for folder in (*catalogue_folders(), *WITH_CATALOGUE))


@lru_cache(maxsize=1)
def contracts() -> dict[str, CompiledContract]:
    found = [compile_bundle(bundle) for bundle in bundles()]
    return {compiled.contract.name: compiled for compiled in found}


def province(text: str = PROVINCE, endpoints: dict[str, str] | None = None) -> Document:
    """Read once for each text and its addresses."""
    return _province(text, tuple((ENDPOINTS if endpoints is None else endpoints).items()))


@lru_cache(maxsize=64)
def _province(text: str, endpoints: tuple[tuple[str, str], ...]) -> Document:
    return parse(text, contracts(), dict(endpoints))


@dataclass(frozen=True)
class Identity:
    """A system's keys; `tls_files` are (certificate, key) in files, as OpenSSL wants them."""

    system: str
    sign: SigningKey
    sign_certificate: bytes
    tls_certificate: bytes
    tls_files: tuple[Path, Path]

    @property
    def tls_der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.tls_certificate.decode())

    @property
    def tls_thumbprint(self) -> str:
        return thumbprint(self.tls_der)


@dataclass(frozen=True)
class House:
    """An authority for one run."""

    folder: Path
    tls: Authority
    signing: Authority
    anchors: Path

    @classmethod
    def make(cls, folder: Path, now: float) -> House:
        root = make_root("Root", now - 86400)
        anchors = folder / "anchors.pem"
        anchors.write_bytes(root.pem)
        return cls(folder, make_issuer(root, "TLS", now - 86400), make_issuer(root, "Signing", now - 86400), anchors)

    def identity(
        self, system: str, now: float, kind: str = "P-256", hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    ) -> Identity:
        tls, sign = new_private(), new_private(kind)  # type: ignore[arg-type]
        tls_certificate = issue_tls(self.tls, system, tls.public_key(), now - 3600, hosts=hosts)
        sign_certificate = issue_signing(self.signing, system, sign.public_key(), now - 3600)
        files = self.folder / f"{system}.crt", self.folder / f"{system}.key"
        files[0].write_bytes(tls_certificate + self.tls.pem)
        files[1].write_bytes(private_pem(tls))
        key = SigningKey.make(f"{system}.sign-1", sign, sign_certificate, system=system)
        assert load_certificate(sign_certificate) is not None
        return Identity(system, key, sign_certificate, tls_certificate, files)


def approve_all(connection: Connection, now: float = NOW) -> None:
    """Both officers sign every grant that they have not signed yet."""
    for grant in granting.grants(connection, officers.officers(connection)):
        for name in OFFICERS.keys() - set(grant.approved_by):
            granting.approve_grant(
                connection, grant.id, name, approve(grant.canonical(), name, private_pem(OFFICERS[name])), now
            )
    store.raise_revision(connection)


def sign_proposals(connection: Connection, now: float = NOW) -> list[Effect]:
    """Both officers sign everything that waits. Returns what came into force."""
    effects: list[Effect] = []
    for name, key in OFFICERS.items():
        for subject, proposal in proposals.proposals(connection, "waiting").items():
            signature = approve(proposal.body.encode(), name, private_pem(key))
            effects += proposals.approve(connection, subject, name, signature, now)[1]
    store.raise_revision(connection)
    return effects


def applied(document: Document, connection: Connection, now: float = NOW) -> list[Effect]:
    """A later document, and all of it signed."""
    store.apply(document, connection, now)
    return sign_proposals(connection, now)


def filled(engine: Engine, document: Document, identities: list[Identity], now: float = NOW) -> None:
    """Contracts, province and keys in a migrated database."""
    copying.filled(engine, (document, now), lambda connection: _fill(connection, document, now))
    with writing(engine) as connection:
        for identity in identities:
            store.add_key(connection, f"{identity.system}.tls-1", identity.system, "tls", identity.tls_certificate)
            store.add_key(connection, f"{identity.system}.sign-1", identity.system, "sign", identity.sign_certificate)


def _fill(connection: Connection, document: Document, now: float) -> None:
    for bundle, compiled in zip(bundles(), contracts().values(), strict=True):
        store.publish_bundle(connection, bundle, compiled)
    store.apply(document, connection, now)
    approve_all(connection, now)


def new_database(folder: Path) -> Engine:
    return migrated("sqlite", folder)
