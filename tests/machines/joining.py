"""A further machine of a running instance, as an operator makes it: `lgsp machine invite`, then `lgsp machine join`.

The vault's keys are shared by a link, as a shared folder would have them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench.demo import world_of
from bench.ports import free_ports
from gateway.settings import Settings, load


def shared_vault(first: Settings, place: Path) -> None:
    """Let the vault's keys of the first machine lie outside its folder."""
    if not first.vault_keys.is_symlink():
        first.vault_keys.mkdir(mode=0o700, exist_ok=True)
        first.vault_keys.rename(place)
        first.vault_keys.symlink_to(place)


def invited(first: Settings, name: str, file: Path, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = world_of(first).lgsp(
        "machine", "invite", name, "--out", str(file), *more, "--data", str(first.data)
    )
    assert found["ok"], found
    return found


def joined(first: Settings, place: Path, name: str, *more: str) -> Settings:
    """The data folder is `place/NAME`. `first` runs."""
    shared_vault(first, first.data.parent / "vault")
    invitation = place / f"{name}.json"
    invited(first, name, invitation)
    exchange, desk = free_ports(2)
    data = place / name
    ports = ("--exchange-port", str(exchange), "--desk-port", str(desk))
    done = world_of(first).lgsp("machine", "join", str(invitation), *ports, *more, "--data", str(data))
    assert done["ok"], done
    return sharing(first, load(data, {}))


def sharing(first: Settings, settings: Settings) -> Settings:
    """A machine that joined, with the vault's keys of the first, and callers that call it."""
    if not first.vault_database:
        settings.vault_keys.rmdir()
        settings.vault_keys.symlink_to(first.vault_keys.resolve())
    shutil.copytree(first.identities, settings.identities)
    return settings
