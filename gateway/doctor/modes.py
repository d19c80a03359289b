"""Who besides the gateway's user can get at an instance's data: modes of folder, database, checkpoint, run folder, sockets and drop folders.

Deliberate exceptions: a data folder that others may pass through, and not read, where drop folders lie in it; drop folders, which a group may
share; a socket for proxies, which the group of `edge_socket_group` may open. Keys and secrets are looked at in `files`.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from gateway.doctor.findings import Found, found
from gateway.journal.taken_up import FOLDER
from gateway.settings import Settings

_NOT_OURS: Final = stat.S_IRWXG | stat.S_IRWXO
_READ_OR_WRITE: Final = _NOT_OURS & ~(stat.S_IXGRP | stat.S_IXOTH)
_SHOWN: Final = 20


def modes(settings: Settings) -> Iterator[Found]:
    """One finding, with the very commands that mend it."""
    drops = _folders(settings.drop_root)
    inside = bool(drops) and settings.drop_root.is_relative_to(settings.data)
    folder = [settings.data] if _mode(settings.data) & (_READ_OR_WRITE if inside else _NOT_OURS) else []
    private = [path for path in _private(settings) if _mode(path) & _NOT_OURS]
    shared = [path for path in [*drops, *_shared_socket(settings)] if _mode(path) & stat.S_IRWXO]
    loose = [*folder, *private, *shared]
    if not loose:
        return
    database = [path for path in _database(settings) if path.exists()]
    if not set(private).isdisjoint(
        database
    ):  # SQLite gives the files beside a database its mode, whenever it opens them
        private = list(dict.fromkeys([*database, *private]))
    parts = [("711" if inside else "700", folder), ("go-rwx", private), ("o-rwx", shared)]
    commands = [f"chmod {how} {' '.join(shlex.quote(str(path)) for path in paths)}" for how, paths in parts if paths]
    named = ", ".join(str(path) for path in loose[:_SHOWN]) + (", …" if len(loose) > _SHOWN else "")
    yield found("files.open", paths=named, commands=" && ".join(commands))


def _private(settings: Settings) -> list[Path]:
    """What nobody else has any business with, as far as it is there."""
    log, run = settings.checkpoint_file.parent, settings.run
    found = [*_database(settings), log, settings.checkpoint_file, settings.cosigned_file, settings.licence_file]
    found += [run, run / FOLDER, *sorted((run / FOLDER).glob("*"))]
    if settings.edge_socket and not settings.edge_socket_group:
        found.append(Path(settings.edge_socket))
    return [path for path in found if path.exists()]


def _database(settings: Settings) -> list[Path]:
    """The files of SQLite, and the lock of its writers."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return []
    file = Path(url.database).absolute()
    return [
        file,
        *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal")),
        file.with_name("journal.lock"),
    ]


def _shared_socket(settings: Settings) -> list[Path]:
    socket = Path(settings.edge_socket) if settings.edge_socket and settings.edge_socket_group else None
    return [socket] if socket is not None and socket.exists() else []


def _folders(root: Path) -> list[Path]:
    """The drop folders, each with what lies in it for its system; none where there is no root."""
    try:
        return [
            path
            for each in sorted(root.iterdir())
            if each.is_dir()
            for path in (each, *sorted(each.iterdir()))
            if path.is_dir()
        ]
    except OSError:
        return []


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:  # gone meanwhile
        return 0
