"""The agents of a sandbox: real processes under the supervisor, each beside a system that cannot sign.

    agents/<system>/agent.yaml, local.secret     made with the instance, or when one of an older release is started
    agents/<system>/state/                       the agent's own

`quan-trac` calls through its agent. `truong-ha` is called through one, and answers in plain HTTP at the next port.
Invariant: an agent here differs from one at an agency only in who starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from contracts.base import safeyaml
from gateway.agent.secret import new_secret
from gateway.agent.setup import CONFIG, SECRET
from gateway.client.identities.identity import write_private
from gateway.sandbox.ports import next_free
from gateway.settings import Settings

FOLDER: Final = "agents"
CALLERS: Final[Mapping[str, tuple[str, ...]]] = {"quan-trac": ("incident-alert/v1", "observation/v1")}
PROVIDERS: Final = ("truong-ha",)


@dataclass(frozen=True, slots=True)
class Beside:
    """One agent's files, and the local address of its system."""

    system: str
    config: Path
    secret: Path
    local: str  # where the system calls the agent, or answers it


def prepare(settings: Settings, data: Path, endpoints: Mapping[str, str]) -> None:
    """Write into `data` what is missing."""
    port = max([settings.exchange_port, *(_port(url) for url in endpoints.values())])
    for system in (*CALLERS, *PROVIDERS):
        folder, identity = data / FOLDER / system, data / "identities" / system
        if (folder / CONFIG).exists() or not identity.is_dir():
            continue
        # An older release left these modes to the umask. The agent refuses files that others can write.
        for file in (identity, *identity.iterdir()):
            if not file.is_dir() or file == identity:
                file.chmod(0o700 if file == identity else 0o600)
        port = next_free(port + 1)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / SECRET).exists():
            write_private(folder / SECRET, new_secret().encode() + b"\n")
        config: dict[str, Any] = {"identity": f"../../identities/{system}", "secret": SECRET, "state": "state"}
        if system in CALLERS:
            config["caller"] = {"listen": f"127.0.0.1:{port}", "contracts": list(CALLERS[system]), "seconds": 5}
        else:
            config["provider"] = {
                "listen": f"127.0.0.1:{_port(endpoints[system])}",
                "base": endpoints[system],
                "system": f"http://127.0.0.1:{port}",
                "kind": "rest",
                "seconds": 5,
                "knows_ids": True,
            }
        (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")


def beside(settings: Settings) -> tuple[Beside, ...]:
    agents = []
    for system in (*CALLERS, *PROVIDERS):
        folder = settings.data / FOLDER / system
        if (folder / CONFIG).exists():
            config = safeyaml.load((folder / CONFIG).read_text("utf-8"))
            local = f"http://{config['caller']['listen']}" if "caller" in config else config["provider"]["system"]
            agents.append(Beside(system, folder / CONFIG, folder / SECRET, local))
    return tuple(agents)


def _port(url: str) -> int:
    return urlsplit(url).port or 443
