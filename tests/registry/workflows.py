"""Later versions of incident-alert/v1 with other workflows, and the officers who sign them."""

from __future__ import annotations

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle
from gateway.journal.database import writing
from gateway.registry.changes import proposals
from gateway.registry.changes.content import Subject
from gateway.registry.changes.document import Document
from gateway.registry.changes.proposals import Effect, Proposal
from gateway.registry.changes.publish import Accepted, Publication, publish
from gateway.registry.snapshot import load_snapshot
from security.grants.approvals import approve, public_pem
from security.pki.authority import private_pem
from tests.registry.editions import edition, swap
from tests.registry.making import ENDPOINTS, NOW, OFFICERS, PROVINCE, filled, province

ALERTS = "incident-alert/v1"
SUBJECT = Subject("workflow", ALERTS)
OWNER, OTHER = OFFICERS  # of the centre, which owns the contract; of the police
THIRD = "can-bo-3"  # of the police too
KEYS = {**OFFICERS, THIRD: ec.generate_private_key(ec.SECP256R1())}


def document() -> Document:
    """The province with a third officer."""
    raw = yaml.safe_load(PROVINCE)
    raw["officers"].append({**raw["officers"][1], "id": THIRD, "key": "{can-bo-3}"})
    text = yaml.safe_dump(raw, allow_unicode=True, sort_keys=False)
    return province(text, {**ENDPOINTS, THIRD: public_pem(KEYS[THIRD].public_key())})


def founded(engine: Engine) -> None:
    filled(engine, document(), [])


def version(number: str, minutes: int) -> Bundle:
    """In which an agency has so many minutes to take an alert in; the catalogue's has 15."""
    term = "term: {minutes: %d, hours: always}\n  accepted:"
    return edition(number, swap("workflow.yaml", term % 15, term % minutes), contract="incident-alert")


def put(engine: Engine, bundle: Bundle, now: float = NOW, by: str | None = None) -> Publication:
    with writing(engine) as connection:
        return publish(connection, bundle, compile_bundle(bundle), Accepted((), now, by))


def sign(connection: Connection, officer: str, now: float = NOW, content: bytes | None = None) -> list[Effect]:
    """By his own key over what waits, or other content."""
    signed = proposals.open_proposal(connection, SUBJECT).body.encode() if content is None else content
    mark = approve(signed, officer, private_pem(KEYS[officer]))
    return proposals.approve(connection, SUBJECT, officer, mark, now)[1]


def waiting(connection: Connection) -> Proposal | None:
    return proposals.proposals(connection, "waiting").get(SUBJECT)


def live(engine: Engine) -> int | None:
    """The minutes of the workflow by which alerts are handled; None if there is none."""
    with engine.connect() as connection:
        contract = load_snapshot(connection).handled.get(ALERTS)
    if contract is None or contract.workflow is None or (term := contract.workflow.states["sent"].term) is None:
        return None
    return term.minutes


def code(error: pytest.ExceptionInfo[Failure]) -> str:
    return error.value.code
