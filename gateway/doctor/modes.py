"""Finds data that other users can access, by the modes of folders, database, checkpoint, sockets and drop folders.

Exceptions: a data folder with drop folders may be passable, not readable; a group may share drop folders; the group of
`edge_socket_group` may open the socket for proxies. `files` examines keys and secrets.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from gateway.doctor.findings import Finding, finding
from gateway.journal.taken_up import FOLDER
from gateway.settings import Settings

_NOT_OURS: Final = stat.S_IRWXG | stat.S_IRWXO
_READ_OR_WRITE: Final = _NOT_OURS & ~(stat.S_IXGRP | stat.S_IXOTH)
_SHOWN: Final = 20


def modes(settings: Settings) -> Iterator[Finding]:
    """At most one finding, with the commands that fix it."""
    drops = _folders(settings.drop_root)
    inside = bool(drops) and settings.drop_root.is_relative_to(settings.data)
    folder = [settings.data] if _mode(settings.data) & (_READ_OR_WRITE if inside else _NOT_OURS) else []
    private = [path for path in _private(settings) if _mode(path) & _NOT_OURS]
    shared = [path for path in [*drops, *_shared_socket(settings)] if _mode(path) & stat.S_IRWXO]
    loose = [*folder, *private, *shared]
    if not loose:
        return
    database = [path for path in _database(settings) if path.exists()]
    if not set(private).isdisjoint(database):  # SQLite gives them the database's mode
        private = list(dict.fromkeys([*database, *private]))
    parts = [("711" if inside else "700", folder), ("go-rwx", private), ("o-rwx", shared)]
    commands = [f"chmod {how} {' '.join(shlex.quote(str(path)) for path in paths)}" for how, paths in parts if paths]
    named = ", ".join(str(path) for path in loose[:_SHOWN]) + (", …" if len(loose) > _SHOWN else "")
    yield finding("files.open", paths=named, commands=" && ".join(commands))


def _private(settings: Settings) -> list[Path]:
    """The existing paths that only the gateway's user should access."""
    log, run = settings.checkpoint_file.parent, settings.run
    paths = [*_database(settings), log, settings.checkpoint_file, settings.cosigned_file, settings.deadline_file]
    paths += [run, run / FOLDER, *sorted((run / FOLDER).glob("*"))]
    if settings.edge_socket and not settings.edge_socket_group:
        paths.append(Path(settings.edge_socket))
    return [path for path in paths if path.exists()]


def _database(settings: Settings) -> list[Path]:
    """The files of SQLite, and the lock file of writers."""
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
    """The drop folders with their subfolders; none without a root."""
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
    except OSError:  # deleted meanwhile
        return 0
