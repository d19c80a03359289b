"""What nobody on the way may read: a change of a citizen's dossier, encrypted from the one-stop system to the gateway, and from there to the centre."""

from __future__ import annotations

import uuid

from examples import messages
from examples.story.exchange import read_feed
from examples.story.world import Telling, World, check, same

DOSSIERS = "dossier-status/v1"


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
    return f"status of {status['MaHoSo']} handed in as JWS in JWE, accepted as {answer.json()['transfer']}; in clear it is refused"


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


STEPS: tuple[Telling, ...] = (
    ("a dossier's status is handed in encrypted by REST", handed_in),
    ("the centre reads it, encrypted for it", read_by_the_centre),
)
