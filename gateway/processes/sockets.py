"""The sockets that the supervisor listens on before any child is there, and hands down.

Invariant: an address that cannot be had ends the start, in words that say which and what to do.
"""

from __future__ import annotations

import socket
from pathlib import Path

from contracts.base.errors import Words
from gateway.doors.http.edge import BadEdge, Proxies
from gateway.doors.http.server import bind, bind_unix
from gateway.processes.supervised import NotStarted
from gateway.settings import Settings


def open_listeners(settings: Settings) -> dict[str, socket.socket]:
    """By `exchange`, `desk`, and where they are set `edge` and `edge_socket`."""
    found = {"exchange": _bind(settings.host, settings.exchange_port), "desk": _bind(settings.host, settings.desk_port)}
    return found | _edges(settings)


def _bind(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise NotStarted(
            Words(
                f"không mở được cổng {host}:{port}: {error.strerror or error}",
                f"cannot listen on {host}:{port}: {error.strerror or error}",
            ),
            Words(
                "Có thể một phiên bản khác đang chạy: dừng nó, hoặc chọn cổng khác bằng LGSP_EXCHANGE_PORT và LGSP_DESK_PORT.",
                "Is another instance running? Stop it, or choose other ports with LGSP_EXCHANGE_PORT and LGSP_DESK_PORT.",
            ),
        ) from None


def _edges(settings: Settings) -> dict[str, socket.socket]:
    found = {}
    if settings.edge_port:
        try:
            Proxies.of(settings)
        except BadEdge as wrong:
            raise NotStarted(Words(f"thiết lập edge không hợp lệ: {wrong}", str(wrong))) from None
        found["edge"] = _bind(settings.host, settings.edge_port)
    if settings.edge_socket:
        try:
            found["edge_socket"] = bind_unix(Path(settings.edge_socket), settings.edge_socket_group)
        except (OSError, LookupError) as error:
            raise NotStarted(
                Words(
                    f"không mở được socket {settings.edge_socket}: {error}",
                    f"cannot listen on the socket {settings.edge_socket}: {error}",
                ),
                Words(
                    "Thư mục của nó phải có sẵn và thuộc về tài khoản chạy trục.",
                    "Its folder must exist and belong to the gateway's user.",
                ),
            ) from None
    return found
