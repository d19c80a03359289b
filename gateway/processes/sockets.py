"""The listening sockets, which the supervisor opens before any child starts and passes on.

Invariant: if an address cannot be opened, the start ends with an error that names it and the remedy.
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
    """By name: `exchange`, `desk`, and if configured `edge` and `edge_socket`."""
    listeners = {
        "exchange": _bind(settings.host, settings.exchange_port),
        "desk": _bind(settings.host, settings.desk_port),
    }
    return listeners | _edges(settings)


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
    listeners = {}
    if settings.edge_port:
        try:
            Proxies.of(settings)
        except BadEdge as wrong:
            raise NotStarted(Words(f"thiết lập edge không hợp lệ: {wrong}", str(wrong))) from None
        listeners["edge"] = _bind(settings.host, settings.edge_port)
    if settings.edge_socket:
        try:
            listeners["edge_socket"] = bind_unix(Path(settings.edge_socket), settings.edge_socket_group)
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
    return listeners
