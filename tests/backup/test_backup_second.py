"""A backup has the vault's keys from either store, and goes back into either; the head in the second database says what
was signed after it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.audit.log.checkpoints import size_of
from gateway.audit.log.head import LogHead
from gateway.settings.saving import save
from gateway.vault.keystore import KeyStore
from gateway.vault.stores import opened
from tests.vault.stores import Machines, second  # noqa: F401  a fixture

NOW = 1_795_500_000.0
KEPT, GONE, LATER = "2026-11-24.m24", "2026-11-23.m24", "2026-11-22.m24"


def test_from_the_second_database_into_either_store(lite: Any, second: Machines, tmp_path: Path) -> None:  # noqa: F811
    settings = lite.settings = replace(lite.settings, vault_database=second.url)
    save(settings)
    keys = opened(settings, lite.engine)
    for each in (KEPT, GONE, LATER):
        keys.make(each)
    secret = keys.load(KEPT)
    keys.destroy(GONE, NOW)
    head = LogHead(keys.second, settings.origin)
    head.advance(lite.exchange(3))
    folder = lite.back_up(tmp_path / "backup", vault_keys=True)
    assert sorted(path.name for path in (folder / "vault-keys").iterdir()) == sorted([f"{KEPT}.key", f"{LATER}.key"])
    assert second.url not in (folder / "settings.yaml").read_text("utf-8")
    keys.destroy(LATER, NOW)
    newest = lite.exchange(2)
    until = time.monotonic() + 60
    while head.read() != newest and time.monotonic() < until:
        head.advance(newest)
        time.sleep(0.05)
    assert size_of(str(head.read())) == size_of(newest)
    keys.close()
    lite.lose()

    done, there = lite.restore(folder, tmp_path / "there", vault_database=second.url)
    assert there.settings.vault_database == second.url and done.reason is not None and done.origin != done.before
    assert done.signed == size_of(newest) > done.held, "the head says what was signed after the backup"
    again = opened(there.settings, None)
    assert again.load(KEPT) == secret and not again.stands(LATER) and again.ended(LATER) and again.ended(GONE)
    done, plain = lite.restore(folder, tmp_path / "plain")
    store = KeyStore(plain.settings.vault_keys)
    assert plain.settings.vault_database == "" and store.load(KEPT) == secret and store.ended(GONE) is not None
