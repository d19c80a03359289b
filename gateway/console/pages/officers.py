"""The officers with their passkeys, and the persons of the registry; the revocation of a passkey."""

from __future__ import annotations

from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import approving
from gateway.registry.changes.officers import acting

HERE: Final = "/console/access/officers"


def officers(ask: Ask) -> Shown:
    with ask.desk.reading() as connection:
        known = sorted(acting(connection).values(), key=lambda each: (each.role, each.id))
    names = {code: each.name.of(ask.language) for code, each in ask.desk.services.registry.snapshot.agencies.items()}
    return Shown("officers.html", {"rows": known, "names": names})


def revoke(ask: Ask) -> Moved:
    approving.revoke_passkey(ask.desk, ask.viewer, ask.path["mark"], ask.reason())
    return Moved(HERE, "passkey-revoked")


PAGES = (
    Page("/access/officers", officers, May.OPERATE, N_("Officers"), Menu.ACCESS),
    Page("/access/passkeys/{mark}/revoke", revoke, May.OPERATE, method="POST", operation="revokePasskey"),
)
