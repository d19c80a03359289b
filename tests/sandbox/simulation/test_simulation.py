"""A simulated system answers the gateway's own adapters for every contract, operation and format."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import Any

import pytest

from adapters.errors import Acted, ProviderFailure, ProviderMissing
from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract, catalogue, compile_bundle
from contracts.faces.examples import Maker
from gateway.journal.database import writing
from gateway.registry import store
from gateway.sandbox.simulation.answers import examples
from tests.sandbox.simulation.conftest import SYSTEM, Simulated
from tests.sandbox.simulation.levels import bundle

CATALOGUE = {each.contract.name: each for each in catalogue()}
TABLE = [
    (name, operation, codec.name, kind)
    for name, compiled in CATALOGUE.items()
    for operation in compiled.contract.operations
    for codec in compiled.formats.values()
    for kind, media in (("rest", "json"), ("soap", "xml"))
    if media in codec.speaks
]


def sent(compiled: CompiledContract, operation: str, format_name: str) -> dict[str, Any]:
    """A message that the format can write: a sample of the contract, or the smallest one."""
    request = compiled.contract.operations[operation].request
    smallest: dict[str, Any] = Maker(compiled.tables).smallest(compiled.messages[request])
    for message in (*examples(compiled, request), smallest):
        try:
            compiled.codec(format_name).write(request, message)
            return message
        except Failure:
            continue
    raise AssertionError(f"no message for {operation}")


@pytest.mark.parametrize(("name", "operation", "format_name", "kind"), TABLE)
def test_every_operation_in_every_format(
    simulated: Simulated, name: str, operation: str, format_name: str, kind: str
) -> None:
    compiled = CATALOGUE[name]
    message = sent(compiled, operation, format_name)
    outgoing = simulated.asked(compiled, operation, message, format_name)
    place = f"/{name}/{format_name}"
    incoming = simulated.call(place, kind, outgoing)
    assert incoming.key_id == "mot-cua.sign-1"
    assert not compiled.validate(outgoing.operation.answer, incoming.answer)
    again = simulated.call(place, kind, outgoing)
    assert again.answer == incoming.answer, "a repeat gets the same answer"
    if kind == "soap":
        assert simulated.call(place, kind, simulated.asked(compiled, operation, message, format_name), version="1.2")


# --- what it keeps ----------------------------------------------------------------------------------------------------

LEVEL = {"station": "HC-017", "metres": Decimal("182.35"), "note": "Nước đang lên, hồ Thăng Hen"}


def test_a_contract_that_was_published_a_moment_ago(simulated: Simulated) -> None:
    """It is answered without a restart, and what was told is what a question by its key gets."""
    fresh = bundle()
    compiled = compile_bundle(fresh)
    question = simulated.asked(compiled, "askLevel", {"station": "HC-017"})
    with pytest.raises(ProviderMissing):
        simulated.call("/water-level/v1", "rest", question)
    with writing(simulated.engine) as connection:
        store.publish_bundle(connection, fresh, compiled)
    before = simulated.call("/water-level/v1", "rest", question._replace(transfer=str(uuid.uuid4()))).answer
    assert before["station"] == "HC-017" and before["metres"] != LEVEL["metres"]
    assert simulated.call("", "rest", simulated.asked(compiled, "tellLevel", LEVEL)).answer["number"]
    for kind in ("rest", "soap"):
        asked = simulated.asked(compiled, "askLevel", {"station": "HC-017"})
        assert simulated.call("", kind, asked).answer == LEVEL


def test_a_dossier_that_was_told_is_the_one_that_is_found(simulated: Simulated) -> None:
    compiled = CATALOGUE["dossier-status/v1"]
    told = next(each for each in examples(compiled, "DossierStatus") if "note" in each["dossier"])
    changed = told | {"dossier": told["dossier"] | {"code": "000.00.22.H14-261118-0777", "note": "Đã chuyển"}}
    simulated.call("", "soap", simulated.asked(compiled, "submitStatus", changed))
    asked = {"dossier": "000.00.22.H14-261118-0777"}
    for kind in ("rest", "soap"):
        answer = simulated.call("", kind, simulated.asked(compiled, "getStatus", asked)).answer
        assert answer["dossier"] == changed["dossier"]


def test_values_are_kept_one_by_one(simulated: Simulated) -> None:
    compiled = CATALOGUE["indicator/v1"]
    values = max(examples(compiled, "IndicatorValues"), key=lambda each: len(each["values"]))
    simulated.call("", "rest", simulated.asked(compiled, "submitValues", values))
    for value in values["values"]:
        asked = {name: value[name] for name in ("indicator", "area", "period")}
        assert simulated.call("", "soap", simulated.asked(compiled, "getValue", asked)).answer == value


def test_an_answer_repeats_what_was_asked(simulated: Simulated) -> None:
    compiled = CATALOGUE["reference-query/v1"]
    asked = examples(compiled, "CitizenQuery")[0] | {"fullName": "Bế Văn Đàn", "birthDate": "1931-05-19"}
    answer = simulated.call("", "soap", simulated.asked(compiled, "queryCitizen", asked, "csdl-xml")).answer
    assert answer["citizen"]["fullName"] == "Bế Văn Đàn" and answer["citizen"]["birthDate"] == "1931-05-19"
    assert answer["citizen"]["personalId"] == asked["personalId"]


def test_reports_get_numbers_of_their_own(simulated: Simulated) -> None:
    compiled = CATALOGUE["field-report/v1"]
    report = examples(compiled, "ServiceRequest")[0]
    numbers = {
        simulated.call("", "rest", simulated.asked(compiled, "createRequest", report)).answer["service_request_id"]
        for _ in range(3)
    }
    assert len(numbers) == 3


def test_nobody_sees_what_another_system_was_told(simulated: Simulated) -> None:
    mine, other = (simulated.simulation.played(name) for name in (SYSTEM, "y-te"))
    assert mine is not None and other is not None
    compiled = CATALOGUE["indicator/v1"]
    values = examples(compiled, "IndicatorValues")[0]
    simulated.call("", "rest", simulated.asked(compiled, "submitValues", values))
    asked = {name: values["values"][0][name] for name in ("indicator", "area", "period")}
    query = compiled.contract.operations["getValue"]
    assert mine.memory.find(compiled, query, asked) is not None
    assert other.memory.find(compiled, query, asked) is None
    # what a tenant tells is its own, until it resets its data
    told, whose = values["values"][0] | {"value": "7"}, "NCC.0000000A"
    mine.memory.keep(compiled, compiled.contract.operations["submitValues"], values | {"values": [told]}, whose)
    found = [mine.memory.find(compiled, query, asked, each) for each in (whose, "NCC.0000000B", "")]
    assert [each[1]["value"] == told["value"] for each in found if each] == [True, False, False]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mine.memory, "_since", lambda each: time.time() + 1 if each == whose else 0.0)
        after = mine.memory.find(compiled, query, asked, whose)
        assert after is not None and after[1]["value"] != told["value"]
    for name in ("khong-co", "..", "../..", "Y-TE", "y-te/../mot-cua"):
        assert simulated.simulation.played(name) is None


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rest", "soap"])
def test_a_message_that_the_contract_forbids_is_refused(simulated: Simulated, kind: str) -> None:
    compiled = CATALOGUE["field-report/v1"]
    report = examples(compiled, "ServiceRequest")[0] | {"description": ""}
    with pytest.raises(ProviderFailure) as refused:
        simulated.call("/field-report/v1", kind, simulated.asked(compiled, "createRequest", report))
    assert (refused.value.code, refused.value.acted) == ("provider.refused", Acted.NO)


def test_an_encrypted_contract_wants_its_bodies_encrypted(simulated: Simulated) -> None:
    compiled = CATALOGUE["dossier-status/v1"]
    asked = simulated.asked(compiled, "getStatus", {"dossier": "000.00.22.H14-261118-0001"})._replace(encrypted=False)
    for kind in ("rest", "soap"):
        with pytest.raises(ProviderFailure) as refused:
            simulated.call("", kind, asked)
        assert refused.value.code == "provider.refused"
