"""Writes the settings of an instance to its file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from contracts.base import safeyaml
from gateway.durable import sync_folder, write_new
from gateway.settings import FILE, Settings


def save(settings: Settings) -> None:
    """Write what differs from the defaults, with mode 600, since it may have a password."""
    plain = Settings(settings.data)
    changed = {
        item.name: getattr(settings, item.name)
        for item in fields(Settings)
        if item.name != "data" and getattr(settings, item.name) != getattr(plain, item.name)
    }
    _write(settings.data, _dumped(changed))


def change(data: Path, **changed: Any) -> None:
    """Write these settings into the file, and leave the rest as a person wrote it, with comments and order. What only
    the environment says does not come in.
    """
    place = data / FILE
    text = place.read_bytes().decode("utf-8") if place.exists() else ""
    plain = Settings(data)
    kept = {name: value for name, value in changed.items() if value != getattr(plain, name)}
    whole = {name: value for name, value in (safeyaml.load(text) or {}).items() if name not in changed} | kept
    try:
        for name in changed:  # one that is the default again goes: an older release may not know its name
            text = _replaced(text, name, _dumped({name: kept[name]}) if name in kept else "")
        fits = (safeyaml.load(text) or {}) == whole
    except yaml.YAMLError:
        fits = False
    _write(data, text if fits else _dumped(whole))  # a file that is no list of lines loses its comments


def _replaced(text: str, name: str, line: str) -> str:
    """`text` with this line in place of the setting, or at its end; with none, without the setting."""
    node = yaml.compose(text, yaml.SafeLoader)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value == name:
            ends = "\n" if value.end_mark.column == 0 else ""  # a text of several lines has its last line feed
            after = text[value.end_mark.index :]
            if not line:
                return text[: key.start_mark.index] + (after if ends else after.partition("\n")[2])
            return text[: key.start_mark.index] + line.rstrip("\n") + ends + after
    return text + ("" if not line or not text or text.endswith("\n") else "\n") + line


def _dumped(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=True) if values else ""


def _write(data: Path, text: str) -> None:
    draft = data / f".{FILE}.part"
    draft.unlink(missing_ok=True)
    write_new(draft, text.encode("utf-8"))
    draft.replace(data / FILE)
    sync_folder(data)
