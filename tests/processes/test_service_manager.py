"""What the service manager hears of the supervisor (sd_notify(3)), by a socket of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.processes.service_manager import ServiceManager


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_each_state_once_and_in_order(tmp_path: Path, abstract: bool) -> None:
    address = f"@{tmp_path}/notify" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address.replace("@", "\0"))
        heard.setblocking(False)
        manager = ServiceManager({"NOTIFY_SOCKET": address})
        manager.ready()
        manager.alive()  # it did not ask for that
        manager.reloading()
        manager.stopping()
        told = [heard.recv(200) for _ in range(3)]
        assert told[0] == b"READY=1" and told[2] == b"STOPPING=1"
        assert told[1].startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        with pytest.raises(BlockingIOError):
            heard.recv(200)


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "không phải địa chỉ", "vsock:2:1234"])
@pytest.mark.parametrize("watchdog", ["", "x", "-1", "1", "²"])
def test_a_manager_that_is_not_there_troubles_nobody(address: str, watchdog: str) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": watchdog})
    manager.ready()
    manager.alive()
    manager.stopping()
