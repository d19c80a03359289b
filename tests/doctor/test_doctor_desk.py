"""What the doctor finds of the people's listener: how browsers reach it, and by whom people sign in."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor import network
from gateway.doors.http import desk_transport
from gateway.settings import Settings
from security.pki.authority import make_root

DAY = 86_400.0


@pytest.mark.parametrize("other", [{"desk_tls": "embedded"}, {"desk_edge": "10.20.0.5"}, {"desk_host": "::1"}])
def test_pages_under_tls_or_behind_a_proxy_are_no_trouble(other: Any) -> None:
    settings = Settings(Path("x"), kind="production", **{"desk_host": "10.20.0.7", **other})
    assert "listen.desk-open" not in {each.kind.code for each in network.addresses(settings)}


def test_the_addresses_of_a_container_are_those_of_its_own_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only 0.0.0.0 is: an address that somebody chose is one that others have, too."""
    mark = tmp_path / ".dockerenv"
    mark.touch()

    def told(host: str) -> set[str]:
        settings = Settings(Path("x"), host=host, desk_host=host, public_base="https://t.invalid")
        return {each.kind.code for each in network.addresses(settings)}

    def metrics(host: str) -> set[str]:
        live = Settings(Path("x"), kind="production", metrics_host=host, metrics_port=9464)
        return {each.kind.code for each in network.addresses(live)} & {"listen.desk-open"}

    monkeypatch.setattr(network, "_CONTAINER", (mark,))
    assert told("0.0.0.0") == {"listen.container"} and told("10.20.0.5") == {"listen.sandbox-open"}
    assert metrics("0.0.0.0") == set() and metrics("10.20.0.5") == {"listen.desk-open"}
    monkeypatch.setattr(network, "_CONTAINER", (tmp_path / "none",))
    assert told("0.0.0.0") == {"listen.sandbox-open"} and metrics("0.0.0.0") == {"listen.desk-open"}


def test_the_certificate_of_the_pages_is_looked_at(tmp_path: Path) -> None:
    made, certificate, private = make_root("desk", time.time()), tmp_path / "desk.crt", tmp_path / "desk.key"
    certificate.write_bytes(made.pem)
    private.write_bytes(made.private_pem(None))
    settings = Settings(tmp_path, desk_tls="files", desk_certificate=str(certificate), desk_key=str(private))
    assert list(network.desk(settings, time.time())) == []
    ends = desk_transport.ends(settings)
    assert ends is not None
    (ending,) = network.desk(settings, ends - DAY)
    assert ending.kind.code == "listen.desk-ending"
    private.write_bytes(make_root("other", time.time()).private_pem(None))
    (broken,) = network.desk(settings, time.time())
    assert broken.kind.code == "listen.desk-broken"


def test_the_settings_of_openid_are_looked_at(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    sound = Settings(
        tmp_path,
        desk_base="https://desk.example",
        oidc_issuer="https://sso.example",
        oidc_client="lgsp",
        oidc_secret_file=str(secret),
    )
    assert list(network.openid(sound)) == [] and list(network.openid(Settings(tmp_path))) == []
    for change in (
        {"oidc_issuer": "http://sso.example"},
        {"oidc_client": ""},
        {"oidc_secret_file": str(tmp_path / "none")},
        {"desk_base": "http://desk.example"},
    ):
        (found,) = network.openid(replace(sound, **change))  # type: ignore[arg-type]
        assert found.kind.code == "openid.settings" and next(iter(change)) in str(found.facts["reason"])
    secret.chmod(0o640)
    assert [each.kind.code for each in network.openid(sound)] == ["openid.settings"]
