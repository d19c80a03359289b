"""Writes the settings of an instance to its file."""

from __future__ import annotations

from dataclasses import fields

import yaml

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
    text = yaml.safe_dump(changed, allow_unicode=True, sort_keys=True) if changed else ""
    draft = settings.data / f".{FILE}.part"
    draft.unlink(missing_ok=True)
    write_new(draft, text.encode("utf-8"))
    draft.replace(settings.data / FILE)
    sync_folder(settings.data)
