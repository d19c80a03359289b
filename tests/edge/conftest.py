"""An instance behind two edges at once, as deploy/ has them: Caddy by mutual TLS, nginx by a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from bench.ports import free_port, free_ports
from examples.story.world import World
from gateway.cli.run import ensure_instance
from gateway.keys.keyring import Keyring
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.transport import Transport
from gateway.settings import Settings
from gateway.settings.saving import save
from security import algorithms
from security.keys import load_certificate
from security.pki import authority

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@dataclass(frozen=True)
class Edged:
    """`site` is where Caddy is to be found, and what signatures cover; `folder` holds the certificate of the proxy
    (edge.crt, edge.key)."""

    settings: Settings
    world: World
    folder: Path

    @property
    def site(self) -> str:
        return self.settings.base


@pytest.fixture(scope="package")
def edged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edged]:
    folder = tmp_path_factory.mktemp("edge")
    site, edge_port = free_ports(2)
    settings = replace(
        demo_settings(folder / "data"),
        public_base=f"https://localhost:{site}",
        edge_port=edge_port,
        edge_socket=str(folder / "edge.sock"),
        edge_socket_dialect="nginx",
        doors=1,
    )
    ensure_instance(settings, say_progress=False)
    private = algorithms.new_private()
    issuer = Keyring(settings).issuer("tls")
    certificate = authority.issue_tls(issuer, "edge", private.public_key(), time.time())
    (folder / "edge.key").write_bytes(authority.private_pem(private))
    (folder / "edge.crt").write_bytes(certificate + issuer.pem)
    fingerprint = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=certificate, capture_output=True, check=True
    ).stdout.decode()
    settings = replace(settings, edge_proxies=fingerprint.strip().rpartition("=")[2])
    save(settings)
    assert load_certificate(certificate)
    with running(settings):
        yield Edged(settings, world_of(settings), folder)


@pytest.fixture(scope="package")
def caddy(edged: Edged) -> Iterator[str]:
    keyring = Keyring(edged.settings)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(edged.folder),
        "EDGE_BIND": "127.0.0.1",
        "EDGE_SITE": edged.site,
        "EDGE_SITE_CERT": str(keyring.server_certificate),
        "EDGE_SITE_KEY": str(keyring.server_key),
        "EDGE_ANCHORS": str(keyring.trust_anchors),
        "EDGE_GATEWAY": f"https://127.0.0.1:{edged.settings.edge_port}",
        "EDGE_CERT": str(edged.folder / "edge.crt"),
        "EDGE_KEY": str(edged.folder / "edge.key"),
    }
    program = Path(sys.executable).with_name("caddy")
    command = [str(program), "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    with _serving(command, edged.site, edged.folder / "caddy.log", environment):
        yield edged.site


@pytest.fixture(scope="package")
def nginx(edged: Edged) -> Iterator[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed here: the edge by nginx is not tried")
    port = free_port()
    keyring = Keyring(edged.settings)
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for example, here in {
        "user www-data;": f"user {pwd.getpwuid(os.getuid()).pw_name};",
        "worker_processes auto;": "worker_processes 1; daemon off;",
        "/run/nginx.pid": str(edged.folder / "nginx.pid"),
        "/var/log/nginx/lgsp-error.log": str(edged.folder / "nginx-error.log"),
        "unix:/run/lgsp/edge.sock": f"unix:{edged.settings.edge_socket}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/lgsp/site.crt": str(keyring.server_certificate),
        "/etc/lgsp/site.key": str(keyring.server_key),
        "/etc/lgsp/anchors.pem": str(keyring.trust_anchors),
        "access_log off;": f"access_log off; client_body_temp_path {edged.folder}/body; proxy_temp_path {edged.folder}/proxy;"  # noqa: E501
        f"fastcgi_temp_path {edged.folder}/f; uwsgi_temp_path {edged.folder}/u; scgi_temp_path {edged.folder}/s;",
    }.items():
        assert text.count(example) == 1, example
        text = text.replace(example, here)
    made = edged.folder / "nginx.conf"
    made.write_text(text, "utf-8")
    site = f"https://localhost:{port}"
    with _serving(
        [program, "-c", str(made), "-p", str(edged.folder)], site, edged.folder / "nginx.log", dict(os.environ)
    ):
        yield site


@pytest.fixture(params=["caddy", "nginx"])
def edge(request: pytest.FixtureRequest) -> str:
    """Where one of the two edges is to be found."""
    found: str = request.getfixturevalue(request.param)
    return found


@contextmanager
def _serving(command: list[str], site: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(site.rpartition(":")[2])), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, log.read_text("utf-8", "replace")
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


def rest_via(edge: str, edged: Edged, system: str) -> RestClient:
    """A client that signs for the public base address and connects to the edge."""
    client = RestClient(edged.world.identity(system))
    for identity in (client.identity, None):
        name = None if identity is None else str(identity.folder)
        client._transports[name] = Transport(
            edge, client.identity.client_context(with_certificate=identity is not None), 20.0
        )
    return client


def soap_via(edge: str, edged: Edged, system: str) -> SoapClient:
    client = SoapClient(edged.world.identity(system))
    client._transports[str(client.identity.folder)] = Transport(edge, client.identity.client_context(), 20.0)
    return client
