"""Article 3: what is exchanged, and between which kinds of system."""

from __future__ import annotations

import pytest

from examples.story import exchange, files, oldsystems
from examples.story.world import World
from gateway.settings import Settings
from tests.obligations.calls import accepted, granted, sample

pytestmark = pytest.mark.server


@pytest.mark.obligation("3.1")
def test_data_of_every_kind_of_sender_travel_as_messages_in_one_envelope(world: World) -> None:
    """Article 3.1: alerts by SOAP and REST, a table by file and a call of an old system become events of one shape."""
    exchange.soap_alert(world)
    exchange.rest_alert(world)
    exchange.feed(world)
    files.dropped(world)
    oldsystems.plain_call(world)
    events = [*exchange.read_feed(world, exchange.ALERTS), *exchange.read_feed(world, exchange.INDICATOR)]
    senders = {"canh-bao": "cap12", "bao-chay": "bao-chay-json", "so-lieu": "chi-tieu-csv", "quan-trac": "canonical"}
    found = {(each["source"].rpartition(":")[2], each["lgspformat"]) for each in events}
    assert set(senders.items()) <= found
    envelope = {"specversion", "id", "source", "type", "time", "datacontenttype", "lgspagency", "lgspbundle", "data"}
    assert all(envelope <= each.keys() and each["specversion"] == "1.0" for each in events)


@pytest.mark.obligation("3.2")
@pytest.mark.parametrize(
    ("system", "agency", "contract", "operation", "path", "message"),
    [
        ("quan-trac", "H14.2", "observation/v1", "submitObservation", "observations", "Observation"),
        ("bao-chay", "H14.6", "camera-event/v1", "submitEvent", "events", "CameraEvent"),
    ],
    ids=["a sensor", "a camera"],
)
def test_sensors_and_cameras_exchange_as_software_does(
    world: World, instance: Settings, system: str, agency: str, contract: str, operation: str, path: str, message: str
) -> None:
    """Article 3.2: a sensor's reading and a camera's event are taken in under the contract of their kind."""
    with granted(world, instance, agency=agency, contract=contract, operations=[operation]):
        made = sample(world, contract, message)
        transfer = accepted(world.rest(system).call("POST", f"/{contract}/{path}", made))
    assert transfer
