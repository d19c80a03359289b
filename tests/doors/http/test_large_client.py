"""Large documents by the client kit, by REST and by SOAP, signed and encrypted."""

from __future__ import annotations

import json
import resource

import pytest
from lxml import etree

from gateway.client import Client, Identity
from tests.doors.http.test_large_rest import nothing_stays
from tests.doors.http.town import MIB, SENDER, Town, noise
from tests.size import FULL

pytestmark = [pytest.mark.full, pytest.mark.server]
SIZE = (50 if FULL else 12) * MIB  # one text of 16 MB: more than libxml2 takes
PATHS = {False: "/official-document/v1/documents", True: "/sealed-document/v1/documents"}


@pytest.mark.parametrize("encrypted", [False, True], ids=["signed", "encrypted"])
def test_by_rest_and_by_soap(large: Town, encrypted: bool) -> None:
    files = [noise(SIZE), noise(100)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Client(Identity.load(large.settings.identities / SENDER), seconds=60.0) as client:
        document = large.with_files(files)
        answer = client.rest("POST", PATHS[encrypted], json.dumps(document).encode())
        assert answer.status == 200 and answer.proven and answer.receipt is not None
        assert large.records.documents[-1] == document
        assert client.prove(answer.receipt, seconds=120.0)
        document |= {"subject": "soap"}
        element = large.sealed_element(document) if encrypted else large.element(document)
        contract = "sealed-document/v1" if encrypted else "official-document/v1"
        for content in (element, etree.tostring(element)):
            answer = client.soap(contract, content)
            assert answer.status == 200 and answer.proven and answer.receipt is not None
            assert large.soap.files[-1] == files
            assert client.prove(answer.receipt, seconds=120.0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(
        f"files of {SIZE:,} bytes by the client kit: this process, which is their receiver too, grew by {grown:,} MiB"
    )
    nothing_stays(large)
