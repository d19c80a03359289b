"""Officers at the console: accounts with their ids, their keys, and passkeys that approve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.console.roles import Role
from gateway.registry.changes import deciding
from gateway.registry.changes.officers import officers
from security import jws
from security.grants.approvals import TYPE, Officer, approve
from security.grants.passkeys import challenge
from security.pki.authority import private_pem
from tests.console.authenticator import Authenticator
from tests.console.people import Desk, Person
from tests.console.test_passkeys import PAGE, registered
from tests.registry.making import OFFICERS

ONE, TWO = OFFICERS
PROPOSALS = "/console/access/proposals"
GRANT = {
    "id": "G-9001",
    "agency": "H14.7",
    "contract": "indicator/v1",
    "operations": "getValue",
    "fields": "* !responsible",
    "purpose": "Điều hành",
    "legal_basis": "Quyết định 1/QĐ",
    "valid_from": "2026-01-01",
    "valid_until": "2030-12-31",
}


def content(desk: Desk, path: str) -> bytes:
    with desk.world.engine.connect() as connection:
        return deciding.asked(connection, path).content


def by_key(desk: Desk, path: str, officer: str) -> str:
    """What `lgsp access sign` prints."""
    return approve(content(desk, path), officer, private_pem(OFFICERS[officer]))


def officer(desk: Desk, id: str) -> Officer:
    with desk.world.engine.connect() as connection:
        return officers(connection)[id]


@dataclass
class Signer:
    """An officer with a session, and a passkey that two officers admitted."""

    desk: Desk
    person: Person
    device: Authenticator

    def assertion(self, path: str, **lies: Any) -> str:
        """What the browser sends for the page of this proposal."""
        wanted = jws.encoded(challenge(content(self.desk, path), TYPE)).decode()
        return self.device.get({"challenge": wanted}, **lies)

    async def approve(self, path: str, credential: str | None = None) -> Any:
        return await self.person.post(f"{PROPOSALS}/{path}", credential=credential or self.assertion(path))


async def signer(desk: Desk, id: str = ONE, *signing: str) -> Signer:
    """Registers a passkey of this officer, and has it admitted by `signing`: both officers if none is named."""
    person = await desk.signed_in(id, Role.OFFICER)
    device = await registered(person)
    answer = await person.post(f"{PAGE}/{jws.encoded(device.id).decode()}/approve")
    assert answer.status == 303, answer.body.decode()
    (passkey,) = officer(desk, id).passkeys
    path = f"passkey/{passkey.thumbprint}"
    for each in signing or OFFICERS:
        given = {"officer": each, "signature": by_key(desk, path, each)}
        answer = await person.post(f"{PROPOSALS}/{path}", **given)
        assert answer.status == 303, answer.body.decode()
    return Signer(desk, person, device)


async def proposed(desk: Desk, **changes: str) -> str:
    """A grant, drafted by somebody who is no officer."""
    person = Person(desk, "binh", desk.cookies["binh"]) if "binh" in desk.cookies else None
    person = person or await desk.signed_in("binh", Role.STEWARD)
    desk.cookies["binh"] = person.cookie
    given = {**GRANT, **changes}
    answer = await person.post(f"{PROPOSALS}/new", **given)
    assert answer.status == 303, answer.body.decode()
    return given["id"]
