"""What a store of the vault's keys promises. There are two (`gateway.vault.stores`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gateway.vault.classes import KeyName
from gateway.vault.copies import Copies


class Keys(Protocol):
    """A store of keys. The one in a database raises `vault.unavailable` where it cannot be asked."""

    @property
    def copies(self) -> Copies: ...

    @property
    def trouble(self) -> str | None:
        """The code of what keeps it from answering now; None: nothing."""

    def serves(self, now: float) -> bool:
        """Whether something can be sealed while there is trouble: a key of today is in memory."""

    def load(self, key_id: str) -> bytes:
        """The key; `vault.expired` if it was destroyed, `vault.key-missing` if it is missing otherwise."""

    def stands(self, key_id: str) -> bool: ...

    def ended(self, key_id: str) -> str | None:
        """When it was destroyed; None for one that was not."""

    def names(self) -> list[KeyName]:
        """The existing keys, by day."""

    def odd(self, now: float) -> list[str]:
        """Keys whose names are no ids, or that never end or are of a future day."""

    def where(self, key_id: str) -> str:
        """The place of a key, for people."""

    def make(self, key_id: str) -> None:
        """A new key, unless there is one: durable and the same for all when this returns."""

    def put(self, key_id: str, key: bytes) -> None:
        """This key, unless there is one. Raises `vault.expired` for one that was destroyed, as `make` does."""

    def mark(self, key_id: str, at: str) -> None:
        """States that it was destroyed."""

    def destroy(self, key_id: str, now: float) -> int:
        """Destroys it, here and in every copy; returns how many there were. After a crash, call it again."""

    def drop(self, key_id: str) -> int:
        """Removes it from this store alone, as after a move; no mark, and no copy, goes."""

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """Ids and contents of files of the folder store, for backups."""

    def marks(self) -> Iterator[tuple[str, str]]:
        """The ids of destroyed keys, and when."""

    def copies_of(self, key_id: str) -> list[Path]: ...

    def copy(self, now: float) -> int:
        """Updates today's copy, if there is a copy folder; returns how many files were written."""

    def copied(self) -> set[str]:
        """The ids of the keys that have a copy on this machine, outside the store."""

    def prune(self, now: float, days: int) -> int:
        """Removes the copies of dates more than `days` ago; returns how many dates."""

    def say_clock(self, now: float) -> None:
        """Stores that a person says it is about `now`."""

    def clock_said(self) -> float | None: ...
