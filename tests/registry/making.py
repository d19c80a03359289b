"""Contracts, keys and a filled registry for the tests of registry, adapters, delivery and APIs; all made when they
run."""

from __future__ import annotations

import atexit
import io
import pickle
import shutil
import sqlite3
import ssl
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine, inspect, text

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting, officers, proposals
from gateway.registry.changes.document import Document, parse
from gateway.registry.changes.proposals import Effect
from gateway.sandbox import people
from security.algorithms import is_public, new_private
from security.grants.approvals import approve, public_pem
from security.keys import SigningKey, load_certificate, thumbprint
from security.pki.authority import Authority, issue_signing, issue_tls, make_issuer, make_root, private_pem
from tests.journal.databases import migrated

NOW = 1_795_503_600.0  # 2026-11-24T07:00:00Z
NOWHERE = "https://localhost:1"
OFFICERS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("can-bo-an-toan-1", "can-bo-an-toan-2")}
PERSONS = {name: ec.generate_private_key(ec.SECP256R1()) for name in (people.OPERATOR, people.AUDITOR)}
# What stands in braces in the province: the addresses of the systems, the keys of officers and persons.
ENDPOINTS = dict.fromkeys(("do-thi", "kinh-te", "mot-cua", "truong-ha"), NOWHERE) | {
    name: public_pem(key.public_key()) for name, key in (OFFICERS | PERSONS).items()
}
PROVINCE = resources.files("gateway.sandbox").joinpath("province.yaml").read_text("utf-8")


@lru_cache(maxsize=1)
def bundles() -> tuple[Bundle, ...]:
    return tuple(Bundle.from_folder(folder) for folder in catalogue_folders())


@lru_cache(maxsize=1)
def contracts() -> dict[str, CompiledContract]:
    found = [compile_bundle(bundle) for bundle in bundles()]
    return {compiled.contract.name: compiled for compiled in found}


def province(text: str = PROVINCE, endpoints: dict[str, str] | None = None) -> Document:
    return parse(text, contracts(), ENDPOINTS if endpoints is None else endpoints)


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
    if not _copied(engine, document, now):
        with writing(engine) as connection:
            _fill(connection, document, now)
    with writing(engine) as connection:
        for identity in identities:
            store.add_key(connection, f"{identity.system}.tls-1", identity.system, "tls", identity.tls_certificate)
            store.add_key(connection, f"{identity.system}.sign-1", identity.system, "sign", identity.sign_certificate)


def _fill(connection: Connection, document: Document, now: float) -> None:
    for bundle, compiled in zip(bundles(), contracts().values(), strict=True):
        store.publish_bundle(connection, bundle, compiled)
    store.apply(document, connection, now)
    approve_all(connection, now)


class _Pickled(pickle.Pickler):
    def reducer_override(self, each: object) -> Any:
        return (str, (public_pem(each),)) if is_public(each) else NotImplemented


_filled: dict[tuple[bytes, float], Path] = {}


def _copied(engine: Engine, document: Document, now: float) -> bool:
    """A new database of SQLite becomes a copy of one that was filled with the same: signatures of thirty approvals,
    each with what it reads, take longer than most tests. False if it is not new."""
    if engine.dialect.name != "sqlite":
        return False
    with engine.connect() as connection:
        if _rows(connection) != _rows_of_a_new_one():
            return False
    raw = io.BytesIO()
    _Pickled(raw).dump(document)
    content = raw.getvalue(), now
    if content not in _filled:
        folder = Path(tempfile.mkdtemp(prefix="lgsp-test-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        made = new_database(folder)
        with writing(made) as connection:
            _fill(connection, document, now)
        made.dispose()
        _filled[content] = folder / "lgsp.db"
    source, target = sqlite3.connect(_filled[content]), engine.raw_connection()
    try:
        source.backup(target.driver_connection)  # type: ignore[arg-type]  # it is one of SQLite
    finally:
        target.close()
        source.close()
    return True


def _rows(connection: Connection) -> dict[str, int]:
    tables = sorted(inspect(connection).get_table_names())
    counts = connection.execute(text(" union all ".join(f'select count(*) from "{name}"' for name in tables)))
    return dict(zip(tables, counts.scalars(), strict=True))


@lru_cache(maxsize=1)
def _rows_of_a_new_one() -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        engine = new_database(Path(folder))
        with engine.connect() as connection:
            found = _rows(connection)
        engine.dispose()
    return found


def new_database(folder: Path) -> Engine:
    return migrated("sqlite", folder)
