"""Opens listening sockets: TCP and Unix."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from pathlib import Path


def bind_unix(path: Path, group: str) -> socket.socket:
    """A listening Unix socket that only its owner can open, or also the members of `group`."""
    folder = path.parent.stat()
    if folder.st_mode & 0o002 and not folder.st_mode & stat.S_ISVTX:
        raise PermissionError(
            errno.EPERM, f"others may write to {path.parent}, and could put a socket of theirs in this one's place"
        )
    if path.is_socket():
        path.unlink()  # left by an instance that was killed
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    if group:
        shutil.chown(path, group=group)
        path.chmod(0o660)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def bind(host: str, port: int) -> socket.socket:
    """A listening socket that child processes may inherit. OSError names the address if it is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener
