"""What files of deployment say of the program, held against the program: commands, settings, probes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from gateway.cli.tree import app
from gateway.doors.health import METRICS, PROBES
from gateway.settings import PREFIX, Settings, load
from gateway.settings.variables import NOT_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PATHS = PROBES | {METRICS}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def unknown_words(words: Sequence[str]) -> list[str]:
    """The words of an `lgsp` command that name no command, and options that it does not have."""
    command: Any = typer.main.get_command(app)
    left = list(words)
    while hasattr(command, "commands"):
        name = left.pop(0) if left else ""
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    return [word for word in left if word.startswith("-") and word.partition("=")[0] not in known]


def settings_of(environment: Mapping[str, str], place: Path) -> Settings:
    """The settings that a process with this environment has. Raises `BadSetting` for what there is not."""
    assert all(name in NOT_SETTINGS or name.startswith(PREFIX) or name in KNOWN for name in environment), environment
    ours = {name: value for name, value in environment.items() if name not in KNOWN}
    return load(place, ours)


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets, in its last stage."""
    (line,) = re.findall(r"^ENV (.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return dict(word.split("=", 1) for word in line.split())


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """As compose does with `${NAME:-default}`."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: values.get(found[1]) or found[2], text)


KNOWN = frozenset({"CREDENTIALS_DIRECTORY", "PATH"})  # of the service manager, of the image
