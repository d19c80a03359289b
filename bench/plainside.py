"""The plain stack as one side of a comparison: its process, its token, its requests."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import message
from bench.load import Shot, http_bytes
from bench.process import await_port, free_port, running
from bench.tls import Pair

AUDIENCE: Final = "plain"


@dataclass(frozen=True, slots=True)
class PlainSide:
    """A running plain stack. The token is made once and verified at each call."""

    port: int
    pid: int
    context: ssl.SSLContext
    token: str

    def shots(self, first: int, count: int) -> list[Shot]:
        headers = [
            ("authorization", f"Bearer {self.token}"),
            ("content-type", "application/json"),
            ("accept", "application/json"),
        ]
        host = f"localhost:{self.port}"
        return [
            Shot(http_bytes("POST", "/requests", host, headers, message.request(number)), message.expected(number))
            for number in range(first, first + count)
        ]


@contextlib.contextmanager
def plain_side(folder: Path, pair: Pair, provider: str, core: int | None) -> Iterator[PlainSide]:
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "token.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    now = int(time.time())
    token = jwt.encode({"sub": "phan-anh", "aud": AUDIENCE, "iat": now, "exp": now + 3600}, key, algorithm="ES256")
    port, log = free_port(), folder / "plain.log"
    with running(
        "bench.plain", ["--port", str(port), "--provider", provider, "--folder", str(folder)], log, core=core
    ) as process:
        await_port(process, port, log)
        yield PlainSide(port, process.pid, ssl.create_default_context(cafile=str(pair.authority)), token)
