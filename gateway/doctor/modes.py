"""Finds data that other users can access, by the modes of folders, database, checkpoint, sockets and drop folders.

Exceptions: a data folder with drop folders may be passable, not readable; a group may share drop folders; the group of
`edge_socket_group` may open the socket for proxies. In a data folder with the set-group-ID bit a group may read the
log: the auditors (docs/operating.md). `files` examines keys and secrets.
"""

from __future__ import annotations

import os
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
_WRITERS: Final = "journal.lock"
_FOR_AUDITORS: Final = stat.S_IRGRP | stat.S_IXGRP
_SHOWN: Final = 20


def modes(settings: Settings) -> Iterator[Finding]:
    """At most one finding, with the commands that fix it."""
    drops = _folders(settings.drop_root)
    inside = bool(drops) and settings.drop_root.is_relative_to(settings.data)
    audited = _mode(settings.data) & stat.S_ISGID != 0
    readable = set(_readable(settings)) if audited else set()
    open_folder = (_READ_OR_WRITE if inside else _NOT_OURS) & ~(_FOR_AUDITORS if audited else 0)
    folder = [settings.data] if _mode(settings.data) & open_folder else []
    lent = [path for path in readable if _mode(path) & _NOT_OURS & ~_FOR_AUDITORS]
    private = [path for path in _private(settings) if path not in readable and _mode(path) & _NOT_OURS]
    shared = [path for path in [*drops, *_shared_socket(settings)] if _mode(path) & stat.S_IRWXO]
    loose = [*folder, *lent, *private, *shared]
    if not loose:
        return
    database = [path for path in _database(settings) if path.exists()]
    if not audited and not set(private).isdisjoint(database):  # SQLite gives them the database's mode
        private = list(dict.fromkeys([*database, *private]))
    passable = "711" if inside else "700"
    parts = [("2751" if audited and inside else "2750" if audited else passable, folder), ("g-w,o-rwx", sorted(lent))]
    parts += [("go-rwx", private), ("o-rwx", shared)]
    commands = [f"chmod {how} {' '.join(shlex.quote(str(path)) for path in paths)}" for how, paths in parts if paths]
    named = ", ".join(str(path) for path in loose[:_SHOWN]) + (", …" if len(loose) > _SHOWN else "")
    yield finding("files.open", paths=named, commands=" && ".join(commands))


def owners(settings: Settings) -> Iterator[Finding]:
    """At most one finding, with the command that fixes it."""
    strange = foreign(settings)
    if strange:
        named = ", ".join(map(str, strange[:_SHOWN])) + (", …" if len(strange) > _SHOWN else "")
        yield finding("files.owner", paths=named, owner=settings.owner_name, command=mend(settings))


def foreign(settings: Settings) -> list[Path]:
    """The files and folders of the instance that belong to another user than it does; drop folders are left out."""
    owner, drops = settings.owner, str(settings.drop_root)
    strange: list[Path] = []
    for folder, folders, files in os.walk(settings.data):
        folders[:] = [name for name in folders if os.path.join(folder, name) != drops]
        strange += [
            path for path in (Path(folder, name) for name in (*folders, *files)) if _owner(path) not in (owner, None)
        ]
    return sorted(strange)


def mend(settings: Settings) -> str:
    """The command that gives all of them to the instance's owner."""
    data, drops = shlex.quote(str(settings.data)), shlex.quote(str(settings.drop_root))
    owner = settings.owner_name.removeprefix("#")
    return f"find {data} -mindepth 1 -path {drops} -prune -o ! -user {owner} -exec chown -h {owner} {{}} +"


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:  # deleted meanwhile
        return None


def _private(settings: Settings) -> list[Path]:
    """The existing paths that only the gateway's user should access."""
    log, run = settings.checkpoint_file.parent, settings.run
    paths = [*_database(settings), log, settings.checkpoint_file, settings.cosigned_file, settings.deadline_file]
    paths += [run, run / FOLDER, *sorted((run / FOLDER).glob("*"))]
    if settings.edge_socket and not settings.edge_socket_group:
        paths.append(Path(settings.edge_socket))
    return [path for path in paths if path.exists()]


def _readable(settings: Settings) -> list[Path]:
    """What a group of auditors may read: the log and the database, and no key."""
    log = settings.checkpoint_file.parent
    paths = [*_database(settings), log, settings.checkpoint_file, settings.cosigned_file]
    return [path for path in paths if path.exists() and path.name != _WRITERS]


def _database(settings: Settings) -> list[Path]:
    """The files of SQLite, and the lock file of writers."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return []
    file = Path(url.database).absolute()
    return [
        file,
        *(file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal")),
        file.with_name(_WRITERS),
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
