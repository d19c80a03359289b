"""A steward's work in a browser without scripts: a contract uploaded and handed in, decided by a second person; a
registry document previewed as a file and sent back as the form has it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.console.roles import Role
from tests.browser.conftest import Console
from tests.browser.test_browser_accessible import faults
from tests.console.zipping import zipped
from tests.registry.editions import edition, unplaced
from tests.registry.making import PROVINCE

LATER = edition("1.2.0", unplaced("CameraEvent", "weather"), contract="camera-event")
REASON = "Agreed with the police on Monday"


def file(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


@pytest.mark.full
def test_two_persons_decide_without_scripts(console: Console) -> None:
    tu = console.signed_in("steward-a", Role.STEWARD, language="en", java_script_enabled=False)
    tu.goto("/console/contracts/drafts/new")
    tu.set_input_files("#archive", file("camera.zip", b"PK\x03\x04 and nothing"))
    tu.get_by_role("button", name="Check it").click()
    assert "Places to mend: 1" in tu.locator("main").inner_text()
    tu.set_input_files("#archive", file("camera.zip", zipped(LATER.files, "camera-event/v1")))
    tu.get_by_role("button", name="Check it").click()
    assert "schema.field-added" in tu.locator("main").inner_text()
    tu.fill("textarea[name=reason]", REASON)
    tu.get_by_role("button", name="Hand it in").click()
    assert tu.get_by_role("button", name="Confirm and publish").count() == 0
    lan = console.signed_in("officer-d", Role.OFFICER, language="en", java_script_enabled=False)
    lan.get_by_role("link", name="Contracts to confirm").click()
    lan.locator("main table a").first.click()
    assert REASON in lan.locator("main").inner_text() and LATER.digest in lan.locator("main").inner_text()
    assert lan.get_by_role("button", name="Confirm and publish").count() == 1
    lan.fill("textarea[name=reason]", "The police want it otherwise")
    lan.get_by_role("button", name="Reject").click()
    assert "rejected" in lan.locator("main").inner_text()
    tu.reload()
    assert "The police want it otherwise" in tu.locator("main").inner_text()


def test_a_document_goes_through_the_form_as_it_is(console: Console) -> None:
    """Line ends and the first line of a text area are the browser's; the digest is that of the same document."""
    minh = console.signed_in("operator-d", Role.OPERATOR, language="en")
    minh.goto("/console/registry/document")
    text = "\n" + PROVINCE.replace("0206 000 0003", "0206 000 0033")
    minh.set_input_files("#file", file("registry.yaml", text.encode()))
    minh.get_by_role("button", name="Preview").click()
    assert "0206 000 0033" in minh.locator("main").inner_text() and not faults(minh)
    digest = minh.locator("input[name=digest]").input_value()
    again = minh.locator("#applied").input_value()
    minh.goto("/console/registry/document")
    minh.fill("#document", again)
    minh.get_by_role("button", name="Preview").click()
    assert minh.locator("input[name=digest]").input_value() == digest


def test_where_a_message_would_go(console: Console) -> None:
    tu = console.signed_in("steward-b", Role.STEWARD, language="en", java_script_enabled=False)
    tu.get_by_role("link", name="Routes").click()
    tu.select_option("#agency", "H14.5")
    tu.select_option("#of", "field-report/v1 createRequest")
    tu.get_by_role("button", name="Show").click()
    tu.get_by_label("area").fill("01392")
    tu.get_by_role("button", name="Show").click()
    assert "Rule 1 decides" in tu.locator("#where").inner_text() and "truong-ha" in tu.locator("#where").inner_text()
