"""A citizen's dossier that only its receivers can read.

It goes encrypted from the one-stop system to the gateway and on to the centre. A commune also asks for it by SOAP,
and a REST system answers, encrypted on all four legs.
"""

from __future__ import annotations

import uuid

from lxml import etree

from examples.story.exchange import read_feed
from examples.story.world import Telling, World, check, same
from gateway.sandbox.standins import messages

DOSSIERS = "dossier-status/v1"
ONE_STOP = "urn:caobang:mot-cua:1"


def handed_in(world: World) -> str:
    client, event = world.rest("mot-cua"), str(uuid.uuid4())
    status = messages.dossier_status(event=event)
    plain = client.call("POST", "/dossier-status/v1/statuses", status)
    world.refusal("not-encrypted", "body.not-encrypted", plain, status=400)
    prepared = client.prepare("POST", "/dossier-status/v1/statuses", status, message_id=event, encrypt_it=True)
    check(status["ChuHoSo"].encode() not in prepared.body, "the applicant's name does not stand in what travels")
    raw = client.exchange(prepared)
    same(raw.headers["content-type"], "application/jose", "the media type of the answer")
    answer = client.judge(prepared, raw)
    check(answer.ok and answer.verified, f"expected an accepted status, got {answer.status} {answer.body[:300]!r}")
    again = client.call("POST", "/dossier-status/v1/statuses", status, message_id=event, encrypt_it=True)
    same(again.body, answer.body, "the answer to a repeat, encrypted anew")
    world.remembered["dossier"] = (event, status)
    return (
        f"status of {status['MaHoSo']} handed in as JWS in JWE, accepted as {answer.json()['transfer']}; in clear it "
        "is refused"
    )


def handed_in_by_soap(world: World) -> str:
    client, event = world.soap("mot-cua-xa"), f"H14.22-{uuid.uuid4()}"
    status = messages.dossier_status_xml(event=event)
    plain = client.call(DOSSIERS, "submitStatus", status, action=f"{ONE_STOP}:DongBoHoSo")
    world.refusal("not-encrypted, SOAP", "body.not-encrypted", plain)
    prepared = client.prepare(DOSSIERS, "submitStatus", status, action=f"{ONE_STOP}:DongBoHoSo", encrypt_it=True)
    check(
        b"NguoiNop" not in prepared.request.body and b"EncryptedData" in prepared.request.body,
        "nothing of the dossier in what travels",
    )
    raw = client.exchange(prepared)
    check(b"EncryptedData" in raw.body, "an encrypted answer")
    answer = client.judge(prepared, raw)
    check(
        answer.ok and answer.verified and answer.receipt is not None,
        f"expected an accepted status, got {answer.status} {answer.fault}",
    )
    return (
        "signed, then encrypted with WS-Security; the answer came back encrypted for the commune, and the page of the "
        "wire was all it knew"
    )


def read_by_the_centre(world: World) -> str:
    event, status = world.remembered["dossier"]

    def found() -> list[dict[str, object]]:
        return [each["data"] for each in read_feed(world, DOSSIERS) if each["data"]["event"] == event]

    (data,) = world.wait("the dossier in the feed", found)
    dossier = data["dossier"]
    assert isinstance(dossier, dict)
    same((dossier["code"], dossier["status"]), (status["MaHoSo"], "processing"), "the dossier in the centre's words")
    same(dossier["applicant"], {"absent": "not-permitted"}, "the applicant, whom the centre's grant does not show")
    page = world.rest("dieu-hanh")
    raw = page.exchange(page.prepare("GET", f"/feeds/{DOSSIERS}"))
    same(raw.headers["content-type"], "application/jose", "the media type of the feed's page")
    return "the centre decrypts its page of the feed; who applied is not shown to it"


def asked(world: World) -> str:
    code = "000.00.22.H14-261118-0007"
    before = world.seen("mot-cua")["records"]
    question = etree.Element(f"{{{ONE_STOP}}}TraCuuHoSo", nsmap={"mc": ONE_STOP})
    etree.SubElement(question, f"{{{ONE_STOP}}}SoBienNhan").text = code
    client = world.soap("mot-cua-xa")
    answer = client.call(
        DOSSIERS, "getStatus", etree.tostring(question), action=f"{ONE_STOP}:TraCuuHoSo", encrypt_it=True
    )
    check(
        answer.ok and answer.verified and answer.body is not None,
        f"expected the dossier, got {answer.status} {answer.fault}",
    )
    assert answer.body is not None
    fields = {name: answer.body.findtext(f".//{{{ONE_STOP}}}{name}") for name in ("SoBienNhan", "DonVi", "TrangThai")}
    same((fields["SoBienNhan"], fields["DonVi"]), (code, "H14.22"), "the dossier in the commune's own words")
    check(str(fields["TrangThai"]).isdigit(), "its status as the commune's number")
    same(world.seen("mot-cua")["records"], before + 1, "questions that reached the one-stop system")
    rest = world.rest("dieu-hanh").call("POST", "/dossier-status/v1/status", {"dossier": code}, encrypt_it=True)
    same(rest.status, 200, f"the same question by REST ({rest.body[:300]!r})")
    same(
        rest.json()["dossier"]["applicant"],
        {"absent": "not-permitted"},
        "the applicant, whom the centre's grant does not show",
    )
    return (
        "a commune asked by encrypted SOAP, the one-stop system answered by encrypted REST; the centre asked too, and "
        "was not shown who applied"
    )


STEPS: tuple[Telling, ...] = (
    ("a dossier's status is handed in encrypted by REST", handed_in),
    ("another one by SOAP, from a commune", handed_in_by_soap),
    ("the centre reads it, encrypted for it", read_by_the_centre),
    ("a dossier is asked for, encrypted on every leg", asked),
)
