"""A real SOAP message of a registered system, changed and sent by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from examples.story.world import World
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.wssec import SOAP, SOAP12
from gateway.sandbox.standins import messages
from tests.attacks.raw import Told, ask, of

WHO, CONTRACT, OPERATION = "canh-bao", "incident-alert/v1", "submitAlert"
Spoil = Callable[[etree._Element, Identity], None]
VERSIONS = {"1.1": SOAP, "1.2": SOAP12}


def envelope(world: World, version: str = "1.1", **how: Any) -> Prepared:
    client = SoapClient(world.identity(WHO), soap=VERSIONS[version])
    return client.prepare(CONTRACT, OPERATION, how.pop("body", None) or messages.cap_alert(), **how).request


def tried(world: World, spoil: Spoil, version: str = "1.1", **how: Any) -> Told | None:
    """The envelope, changed, sent by the system that signed it."""
    prepared, who = envelope(world, version, **how), world.identity(WHO)
    own, common = VERSIONS[version].encode(), SOAP.encode()
    root = etree.fromstring(prepared.body.replace(own, common))  # the forms are written in the names of SOAP 1.1
    spoil(root, who)
    body = etree.tostring(root, encoding="utf-8").replace(common, own)
    return ask(who, of(Prepared("POST", prepared.path, prepared.target, prepared.headers, body)))
