"""Which address each listener binds: only the exchange is where `host` says."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.processes import sockets
from gateway.processes.supervised import NotStarted, check_standins
from gateway.sandbox import live
from gateway.settings import Settings


@pytest.mark.parametrize("metrics", [0, 9464])
def test_the_people_s_listener_and_the_metrics_bind_addresses_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: int
) -> None:
    bound: list[tuple[str, int]] = []

    class Listener:
        def close(self) -> None: ...

    def bind(host: str, port: int) -> Any:
        bound.append((host, port))
        return Listener()

    monkeypatch.setattr(sockets, "bind", bind)
    settings = Settings(tmp_path, host="0.0.0.0", exchange_port=8443, desk_port=8080, metrics_port=metrics)
    for opened in (sockets.open_listeners, sockets.check_ports):
        bound.clear()
        opened(settings)
        expected = {("0.0.0.0", 8443), ("127.0.0.1", 8080), *([("127.0.0.1", metrics)] if metrics else [])}
        assert set(bound) == expected and len(bound) == len(expected)


def test_a_port_that_only_root_may_open_is_told_as_such() -> None:
    """Another instance is not the reason there, and other words would send the operator to look for one."""
    low = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii")) - 1
    if low < 1:
        pytest.skip("left out: every user may open every port here")
    script = f"""
import os
from gateway.processes import sockets
from gateway.processes.supervised import NotStarted
if os.geteuid() == 0:
    os.setuid(65534)
try:
    sockets._bind("desk", "127.0.0.1", {low})
except NotStarted as refused:
    print(refused.next("en"), refused.next("vi"))
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "below 1024" in told.stdout and "dưới 1024" in told.stdout, told


def test_a_stand_in_whose_port_is_taken_is_named_and_how_to_go_on(tmp_path: Path) -> None:
    """A restored sandbox has the ports of its original: the registry holds the addresses."""
    settings = Settings(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        live.remember(tmp_path, {"do-thi": f"https://localhost:{port}"})
        with pytest.raises(NotStarted) as refused:
            check_standins(settings)
        assert str(port) in refused.value.what("en") and "--without do-thi" in refused.value.next("vi")
        check_standins(settings, frozenset({"do-thi"}))
    check_standins(settings)
