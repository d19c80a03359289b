"""The log's own key (Ed25519), apart from the database, and the notes that it signs (C2SP signed note, tlog-checkpoint).

Invariant: the key's name is the log's origin; a key file of another origin is refused, so that two logs never share a name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.errors import AUDIT_INCONSISTENT
from gateway.audit.log.durable import make_folder, sync_folder, write_new
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
        """The key in `path`, in the text form of signed notes; made if there is none yet."""
        try:
            text = at_rest.read(path).decode("ascii")
        except FileNotFoundError:
            make_folder(path.parent, 0o700)
            made = checkpoint.private_text(origin, Ed25519PrivateKey.generate()) + "\n"
            _write_new(path, at_rest.form(path.name, made.encode("ascii")))
            text = at_rest.read(path).decode("ascii")
        name, private = checkpoint.private_from_text(text)
        if name != origin:
            raise AUDIT_INCONSISTENT(reason=f"{path} is the key of the log {name}, not of {origin}")
        return cls(origin, private)

    @property
    def vkey(self) -> str:
        """The public key as text, for everybody who checks."""
        return self._public.text()

    def sign(self, size: int, root: bytes) -> str:
        return checkpoint.sign(Checkpoint(self.origin, size, root), self._private, self.origin)

    def sign_text(self, text: str) -> str:
        """A signed note over another text of ours; none that could be taken for a checkpoint."""
        return checkpoint.sign_text(text, self._private, self.origin)

    def sign_with(self, old: LogKey, size: int, root: bytes) -> str:
        """The same, signed by the key of the log before this one too: it vouches for this one."""
        note, text = self.sign(size, root), Checkpoint(self.origin, size, root).text()
        return note + checkpoint.sign_text(text, old._private, old.origin)[len(text) + 1 :]

    def verify(self, note: str) -> tuple[int, bytes]:
        """Size and root of a note of ours; `audit.inconsistent` for any other text."""
        try:
            found = checkpoint.verify(note, self._public, origin=self.origin)
        except NoteError as error:
            raise AUDIT_INCONSISTENT(reason=f"the checkpoint outside the database is not ours: {error}") from error
        return found.size, found.root


def _write_new(path: Path, data: bytes) -> None:
    """Whole or not at all, never over another process's file, and safe before anything is signed with it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    write_new(draft, data, 0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_folder(path.parent)
