"""The listening sockets, which the supervisor opens before any child starts and passes on.

Invariant: if an address cannot be opened, the start ends with an error that names it and the remedy.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from gateway.doors.http import desk_transport
from gateway.doors.http.edge import BadEdge, Proxies
from gateway.doors.http.listening import bind, bind_unix
from gateway.processes.supervised import NotStarted, words
from gateway.settings import Settings

BOUND: Final = (  # settings that say where; until a restart they are what they were when the sockets were opened
    *("host", "exchange_port", "desk_host", "desk_port", "metrics_host", "metrics_port"),
    *("edge_port", "edge_socket", "edge_socket_group"),
)


def open_listeners(settings: Settings) -> dict[str, socket.socket]:
    """By name: `exchange`, `desk`, and if configured `metrics`, `edge` and `edge_socket`; those of this machine's
    roles."""
    check_desk(settings)
    listeners = {name: _bind(name, host, port) for name, (host, port) in _places(settings).items() if name != "edge"}
    return listeners | _edges(settings)


def _places(settings: Settings) -> dict[str, tuple[str, int]]:
    """Where the listeners of this machine's roles bind, but the Unix socket."""
    door, edge = settings.has("door"), settings.edge_port
    return {
        **({"exchange": (settings.host, settings.exchange_port)} if door else {}),
        **({"desk": (settings.desk_host, settings.desk_port)} if settings.has("desk") else {}),
        **({"metrics": (settings.metrics_host, settings.metrics_port)} if settings.metrics_port else {}),
        **({"edge": (settings.host, edge)} if door and edge else {}),
    }


def check_ports(settings: Settings) -> None:
    """Raises `NotStarted` if a port is taken. An instance is made only after that."""
    check_desk(settings)
    opened: list[socket.socket] = []
    try:
        opened += (_bind(name, host, port) for name, (host, port) in _places(settings).items())
    finally:
        for listener in opened:
            listener.close()


def check_desk(settings: Settings) -> None:
    """Raises `NotStarted` if passwords would cross the network in the clear, or nobody could open the pages."""
    if not settings.has("desk"):
        return
    if settings.kind == "production" and desk_transport.is_bare(settings):
        raise NotStarted(words("desk", host=settings.desk_host), words("desk.next"))
    try:
        desk_transport.Edge.of(settings)
        if settings.desk_tls == "files":
            desk_transport.context(settings)
    except BadEdge as wrong:
        raise NotStarted(words("desk-broken", why=wrong.words)) from None


def _bind(name: str, host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        why, then = error.strerror or error, "port.low" if isinstance(error, PermissionError) else "port.next"
        raise NotStarted(
            words("port", host=host, port=port, why=why),
            words(then, setting=f"{name}_port", variable=f"LGSP_{name.upper()}_PORT"),
        ) from None


def _edges(settings: Settings) -> dict[str, socket.socket]:
    listeners: dict[str, socket.socket] = {}
    if not settings.has("door"):
        return listeners
    if settings.edge_port:
        try:
            Proxies.of(settings)
        except BadEdge as wrong:
            raise NotStarted(words("edge", why=wrong.words)) from None
        listeners["edge"] = _bind("edge", settings.host, settings.edge_port)
    if settings.edge_socket:
        try:
            listeners["edge_socket"] = bind_unix(Path(settings.edge_socket), settings.edge_socket_group)
        except (OSError, LookupError) as error:
            raise NotStarted(words("socket", path=settings.edge_socket, why=error), words("socket.next")) from None
    return listeners
