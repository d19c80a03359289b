"""The address of the database, together with what its connections must know of the instance."""

from __future__ import annotations

from pathlib import Path


class DatabaseAddress(str):
    """An SQLAlchemy address. `standby`: what is written counts only with a synchronous standby. `folder`: the data
    folder, where this machine keeps which server it saw last.
    """

    standby: bool
    folder: Path

    def __new__(cls, address: str, standby: bool, folder: Path) -> DatabaseAddress:
        made = super().__new__(cls, address)
        made.standby, made.folder = standby, folder
        return made
