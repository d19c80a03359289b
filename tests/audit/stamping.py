"""A time-stamp authority for tests: certificates made here, answers by the real `openssl ts -reply`, behind a small
server on 127.0.0.1."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import select

from contracts.base.errors import Ours
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.witnessing.admission import STAMPS, AdmissionCheck, AdmissionDeadline
from gateway.audit.witnessing.verify import newest_stamped
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.keeper.witnessing.coverage import CoverageTracker
from gateway.keeper.witnessing.stamps import Authority as Asked
from gateway.keeper.witnessing.stamps import Stamps
from security.transparency.checkpoint import NoteKey

_CONFIG = """
[tsa]
default_tsa = this
[this]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
{chain}
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha256, sha512
ordering = yes
tsa_name = yes
ess_cert_id_alg = {ess}
"""
DAY = 86_400.0


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """`reply` may be set anew: from the question's bytes to the answer's."""

    def __init__(
        self,
        folder: Path,
        *,
        chain: bool = True,
        kind: str = "rsa",
        ends: float = 30 * DAY,
        uses: Any = None,
        critical: bool = True,
        ess: str = "sha256",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.asked = folder, 0
        now = time.time()
        root_key, issuer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        key: Any = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        root = self._issue("Root of stamps", root_key, "Root of stamps", root_key, now, 90 * DAY, ca=True)
        issuer = self._issue("Issuer of stamps", issuer_key, "Root of stamps", root_key, now, 90 * DAY, ca=True)
        uses = [ExtendedKeyUsageOID.TIME_STAMPING] if uses is None else uses
        leaf = self._issue(
            "Stamps", key, "Issuer of stamps", issuer_key, now, ends, ca=False, uses=uses, critical=critical
        )
        pem = [each.public_bytes(Encoding.PEM) for each in (root, issuer, leaf)]
        self.anchors = folder / ("root.pem" if chain else "both.pem")
        self.anchors.write_bytes(pem[0] if chain else pem[0] + pem[1])
        (folder / "issuer.pem").write_bytes(pem[1])
        (folder / "tsa.pem").write_bytes(pem[2])
        (folder / "tsa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(
            _CONFIG.format(folder=folder, chain=f"certs = {folder}/issuer.pem" if chain else "", ess=ess)
        )
        self.reply: Callable[[bytes], bytes] = self.by_openssl
        self._server: ThreadingHTTPServer | None = None

    @property
    def trusted(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.anchors.read_bytes())

    def _issue(
        self,
        subject: str,
        key: Any,
        issuer: str,
        issuer_key: Any,
        now: float,
        ends: float,
        *,
        ca: bool,
        uses: Any = None,
        critical: bool = True,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(now - 60 * DAY, UTC))
            .not_valid_after(datetime.fromtimestamp(now + ends, UTC))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        )
        if uses is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=critical)
        return builder.sign(issuer_key, hashes.SHA256())

    def by_openssl(self, question: bytes) -> bytes:
        asked, answer = self.folder / "asked.tsq", self.folder / "answer.tsr"
        asked.write_bytes(question)
        command = [
            "openssl",
            "ts",
            "-reply",
            "-config",
            str(self.folder / "ts.cnf"),
            "-queryfile",
            str(asked),
            "-out",
            str(answer),
        ]
        subprocess.run(command, check=True, capture_output=True)
        return answer.read_bytes()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}/tsr"

    def __enter__(self) -> Authority:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                told = outer.reply(body)
                self.send_response(200)
                self.send_header("content-type", "application/timestamp-reply")
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def verified_by_openssl(answer: Path, anchors: Path, *what: str) -> bool:
    """`what`: `-data FILE` or `-queryfile FILE`."""
    command = ["openssl", "ts", "-verify", "-in", str(answer), *what, "-CAfile", str(anchors)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0 and "Verification: OK" in done.stdout


# --- the keeper's task ------------------------------------------------------------------------------------------------


class Stamping:
    """The keeper's task over a log, with clocks that a test moves."""

    def __init__(self, log: Any, session: Any, authority: Authority, every: float = 3600.0) -> None:
        self.moment, self.moved, self.log, self.every = 0.0, 0.0, log, every
        self.asked = Asked(session, authority.url, authority.trusted, self.clock)
        self.begin()

    def begin(self) -> None:
        """As a keeper that has just started: with nothing in memory."""
        log, folder = self.log, self.log.folder / "log"
        licence = AdmissionDeadline(folder / "licence", frozenset({STAMPS}))
        file = CheckpointFile(folder / "checkpoint")
        self.tracker = CoverageTracker(
            STAMPS, self.every * 2, log.engine, lock_of(log.engine), licence, self.clock, self._prove, file
        )
        self.task = Stamps(self.tracker, self.asked, self.every, monotonic=lambda: time.monotonic() + self.moved)

    def clock(self) -> float:
        return time.time() + self.moment

    def _prove(self, connection: Any, top: int, now: float) -> tuple[int, float]:
        return newest_stamped(connection, NoteKey.from_text(self.log.key.vkey), top, now, self.asked.anchors)

    @property
    def open(self) -> bool:
        """Whether a door that looks now takes a transfer."""
        try:
            AdmissionCheck(self.log.folder / "log" / "licence", self.clock, self.every * 2)()
        except Ours as closed:
            assert closed.code == "audit.unwitnessed"
            return False
        return True

    async def look(self, later: float = 0.0) -> dict[str, str]:
        self.moment += later
        self.moved += later + 1000.0
        await self.task.run_once(self.log.lease)
        return dict(self.tracker.now.trouble or {})

    def rows(self) -> list[Any]:
        with self.log.engine.connect() as connection:
            return list(connection.execute(select(tables.stamp).order_by(tables.stamp.c.id)))


def grow(log: Any) -> None:
    log.sequencer().run_once(log.lease)
    log.pend(f"t{time.monotonic_ns()}")
    while log.sequencer().run_once(log.lease).busy:
        pass
