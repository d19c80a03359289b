"""When the messages of a package were signed: what waited before it was sent on was signed long after its intent."""

from __future__ import annotations

import pytest

from gateway.audit.verifier.messages import Http, time_of

FIRST, LAST = 1_795_000_000.0, 1_795_000_600.0
STAMP = b'<s:Envelope><wsu:Timestamp wsu:Id="t"><wsu:Created>%b</wsu:Created></wsu:Timestamp></s:Envelope>'


@pytest.mark.parametrize(
    ("stated", "moment"),
    [(FIRST + 300, FIRST + 300), (FIRST - 90, FIRST), (LAST + 90, LAST), (FIRST, FIRST), (LAST, LAST)],
)
def test_within_the_entries_of_its_transfer(stated: float, moment: float) -> None:
    signed = Http({"signature-input": f'gateway=("@method");created={stated:.0f};keyid="k"'}, b"")
    assert time_of(signed, None, FIRST, LAST) == moment


def test_an_envelope_names_it_in_its_timestamp() -> None:
    sent = Http({"content-type": "text/xml"}, STAMP % b"2026-11-19T07:11:40.250Z")
    assert time_of(sent, None, FIRST, FIRST + 10**9) == 1_795_072_300.25
    hidden = Http({"content-type": "text/xml"}, b"<s:Envelope/>")
    assert time_of(hidden, sent.body, FIRST, FIRST + 10**9) == time_of(sent, None, FIRST, FIRST + 10**9)


@pytest.mark.parametrize("body", [b"", STAMP % b"2026-99-99T07:11:40.250Z", b"<Created>2026-11-18"])
def test_what_names_no_time_is_held_against_the_intent(body: bytes) -> None:
    assert time_of(Http({}, body), None, FIRST, LAST) == FIRST
