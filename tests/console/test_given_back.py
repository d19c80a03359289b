"""A form that is refused comes back with what was typed, and says at its field why."""

from __future__ import annotations

import re
from html import unescape

from gateway.console.accounts import secrets
from gateway.console.roles import Role
from gateway.console.site.refilling import refilled
from tests.console.people import HOST, Desk, Reader

FORM = """<main><details class="a"><summary>More</summary>
<form method="post" action="/x#y">
<input type="hidden" name="csrf" value="fresh"><input type="hidden" name="of" value="2">
<label for="t">Title &amp; more</label><input id="t" name="title" value="old" aria-describedby="hint" required>
<input name="row"><input name="row">
<input type="password" name="secret"><input name="code" autocomplete="one-time-code">
<textarea name="text" rows="2">before</textarea>
<select name="kind"><option value="">any</option><option value="a" selected>A</option><option>b&lt;</option></select>
<input type="checkbox" name="many" value="1" checked><input type="checkbox" name="many" value="2">
</form></details></main>"""
TYPED = {
    "csrf": "old", "of": "2", "title": '"><b>', "row": "1\n2", "secret": "s3cret", "code": "123456",
    "text": "\r\n</textarea><script>", "kind": "b<", "many": "2",
}  # fmt: skip


def test_a_form_is_filled_in_again() -> None:
    found = refilled(FORM, "/x", TYPED, "title", "too <short>")
    assert found is not None and found.label == "Title & more"
    page = found.page
    assert 'value="&quot;&gt;&lt;b&gt;"' in page and "<b>" not in page and "<script>" not in page
    assert '<input name="row" value="1"><input name="row" value="2">' in page
    assert "s3cret" not in page and "123456" not in page and 'value="fresh"' in page
    assert re.search(r'<textarea name="text" rows="2">\n\n&lt;/textarea&gt;&lt;script&gt;</textarea>', page)
    assert '<option value="a">A</option><option value="b&lt;" selected>b&lt;</option>' in page
    assert 'value="1"><input type="checkbox" name="many" value="2" checked>' in page
    assert '<details class="a" open>' in page and 'aria-describedby="hint refused-why"' in page
    assert '<span class="wrong" id="refused-why">too &lt;short&gt;</span>' in page
    assert page.index("<form") < page.index('id="refused-form"') < page.index("csrf")


def test_of_forms_with_one_address_it_is_that_with_the_same_hidden_fields() -> None:
    one = '<form method="post" action="/x"><input type="hidden" name="of" value="{}"><input name="why"></form>'
    found = refilled(one.format(1) + one.format(2), "/x", {"of": "2", "why": "because"}, "", "")
    assert found is not None and found.page.endswith('value="2"><input name="why" value="because"></form>')
    assert refilled(one.format(1), "/y", {}, "", "") is None


async def test_a_refused_hold_keeps_what_was_typed(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    typed = {"name": "case-7", "agency": "Cuc gi do", "begins": "2026-01-01", "reason": "inspection 12 asks for it"}
    page = await minh.post("/console/vault/holds", **typed)
    text = unescape(page.body.decode())
    assert page.status == 400 and "console.unknown-name" in text and "/console/people" in Reader(page.body).links
    assert all(f'value="{typed[name]}"' in text for name in ("name", "agency", "begins"))
    assert re.search(r'name="reason"[^>]*>\s*inspection 12 asks for it</textarea>', text)
    why = text.partition('<span class="wrong" id="refused-why">')[2].partition("</span>")[0]
    assert why.startswith("Agency: ") and 'name="agency" type="text" value="Cuc gi do"' in text
    vi = people.world.services.registry.snapshot.agencies["H14.5"].name.vi
    assert (await minh.post("/console/vault/holds", **{**typed, "agency": vi})).status == 303
    listed = (await minh.get("/console/vault")).body.decode()
    assert "case-7" in listed and "H14.5" in listed.partition("case-7")[2].partition("</tr>")[0]


async def test_it_is_the_page_that_the_browser_came_from(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    at, here, csrf = "/console/systems/canh-bao", f"https://{HOST}", secrets.csrf_of(minh.cookie.partition("=")[2])
    fields = {"key": "*", "code": "keyCompromise", "reason": "no", "csrf": csrf}
    for referer in ("", f"{here}{at}?lang=en", "https://other.example/console/people", f"{here}/console/people"):
        page = await minh.send(f"{at}/revoke", fields, referer=referer)
        text = page.body.decode()
        assert page.status == 400 and "console.reason" in text and f'action="{at}/revoke"' in text, referer
        assert 'id="refused-why"' in text and 'value="keyCompromise" selected>' in text


async def test_a_form_of_another_site_does_not_come_back(people: Desk) -> None:
    minh = await people.signed_in("minh", Role.OPERATOR)
    page = await minh.send("/console/vault/holds", {"name": "planted-name", "csrf": "x"})
    assert page.status == 403 and b"planted-name" not in page.body
