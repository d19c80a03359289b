"""A probe ends its connection as TLS says, so that no program at the other side meets a cut connection."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from adapters.opening import ConnectionProbe, Peers
from security.pki import authority


async def test_the_other_side_is_told_that_the_connection_ends(tmp_path: Path) -> None:
    root = authority.make_root("own", time.time())
    private = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.make_issuer(root, "own TLS", time.time())
    pem = authority.issue_tls(issuer, "one", private.public_key(), time.time(), hosts=("localhost",))
    (tmp_path / "one.crt").write_bytes(pem + issuer.pem)
    (tmp_path / "one.key").write_bytes(authority.private_pem(private))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "one.crt", tmp_path / "one.key")
    trusting = ssl.create_default_context(cadata=root.pem.decode())
    trusting.check_hostname = False
    told: list[object] = []

    def serve(listener: socket.socket) -> None:
        try:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as spoken:
                told.append(spoken.recv(1))  # raises if the connection is cut
        except OSError as cut:
            told.append(cut)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        assert await ConnectionProbe(Peers(trusting))(f"https://localhost:{port}/", "one")
        await asyncio.to_thread(thread.join, 10)
    assert told == [b""]
