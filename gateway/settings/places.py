"""Derives what lies in the data folder of an instance: no setting moves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "settings.yaml"
DRAFT, WHOLE = ".new", ".made"  # in the data folder: an unfinished instance; a finished one being moved up
SEEN: Final = "database.seen"  # which server of PostgreSQL this machine saw last
NO_INSTANCE: Final = frozenset({FILE, DRAFT, WHOLE, SEEN, "lost+found"})  # what an empty data folder may have


@dataclass(frozen=True, slots=True)
class Places:
    """`data` is the folder, with everything that must outlive a restart."""

    data: Path

    @property
    def authority(self) -> Path:
        return self.data / "ca"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def is_made(self) -> bool:
        """Whether there is an instance, or a copy without keys; settings alone do not count."""
        if not (self.data / FILE).exists() or (self.data / WHOLE).exists():
            return False
        return any(each.name not in NO_INSTANCE for each in self.data.iterdir())

    @property
    def owner(self) -> int:
        """The user whose files the instance consists of. A volume's own folder may be another's."""
        return (self.keys if self.keys.is_dir() else self.data).stat().st_uid

    @property
    def owner_name(self) -> str:
        """The owner's name, or `#` and the number of one without a name."""
        import pwd

        try:
            return pwd.getpwuid(self.owner).pw_name
        except KeyError:
            return f"#{self.owner}"

    @property
    def vault_keys(self) -> Path:
        return self.data / "keys" / "vault"

    @property
    def checkpoint_file(self) -> Path:
        return self.data / "log" / "checkpoint"

    @property
    def cosigned_file(self) -> Path:
        return self.data / "log" / "cosigned"

    @property
    def deadline_file(self) -> Path:
        return self.data / "log" / "licence"

    @property
    def identities(self) -> Path:
        return self.data / "identities"

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def in_hand_file(self) -> Path:
        """Names the dropped file in work, and those at which a process died."""
        return self.run / "files.json"
