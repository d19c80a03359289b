"""Which address each listener binds: only the exchange is where `host` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.processes import sockets
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
