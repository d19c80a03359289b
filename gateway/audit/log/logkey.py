"""The log's own Ed25519 key, kept outside the database, and the notes it signs (C2SP signed-note, tlog-checkpoint).

Invariant: the key's name is the log's origin. A key file of another origin is refused, so that no two logs share a
name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.durable import make_folder, sync_folder, write_new
from gateway.keys.key_encryption import PLAIN, AtRest
from security.transparency import checkpoint
from security.transparency.checkpoint import Checkpoint, NoteError, NoteKey


class LogKey:
    """Signs and verifies checkpoints of one log."""

    def __init__(self, origin: str, private: Ed25519PrivateKey) -> None:
        self.origin: Final = origin
        self._private: Final = private
        self._public: Final = NoteKey.make(origin, private.public_key())

    @classmethod
    def open(cls, path: Path, origin: str, at_rest: AtRest = PLAIN) -> LogKey:
        """Reads the key in `path`, in the text form of signed notes; creates it if there is none."""
        try:
            text = at_rest.read(path).decode("ascii")
        except FileNotFoundError:
            make_folder(path.parent, 0o700)
            text = NoteKey.private_text(origin, Ed25519PrivateKey.generate()) + "\n"
            _write_new(path, at_rest.form(path.name, text.encode("ascii")))
            text = at_rest.read(path).decode("ascii")
        name, private = NoteKey.private_from_text(text)
        if name != origin:
            raise AUDIT_INCONSISTENT(reason=f"{path} is the key of the log {name}, not of {origin}")
        return cls(origin, private)

    @property
    def vkey(self) -> str:
        """The public key as text."""
        return self._public.text()

    def sign(self, size: int, root: bytes) -> str:
        return checkpoint.sign(Checkpoint(self.origin, size, root), self._private, self.origin)

    def sign_text(self, text: str) -> str:
        """A signed note over another text; never one that could be taken for a checkpoint."""
        return checkpoint.sign_text(text, self._private, self.origin)

    def sign_with(self, old: LogKey, size: int, root: bytes) -> str:
        """A checkpoint signed by the key of the preceding log too, which so confirms this key."""
        note, text = self.sign(size, root), Checkpoint(self.origin, size, root).text()
        return note + checkpoint.sign_text(text, old._private, old.origin)[len(text) + 1 :]

    def verify(self, note: str) -> tuple[int, bytes]:
        """Size and root of a note of this log; raises `audit.inconsistent` for any other text."""
        try:
            point = checkpoint.verify(note, self._public, origin=self.origin)
        except NoteError as error:
            raise AUDIT_INCONSISTENT(reason=f"the checkpoint outside the database is not ours: {error}") from error
        return point.size, point.root


def _write_new(path: Path, data: bytes) -> None:
    """Writes the file whole or not at all, never over another process's file, and syncs it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    write_new(draft, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_folder(path.parent)
