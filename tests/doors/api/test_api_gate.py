"""What connexion leaves open is closed: unknown paths, missing security, unchecked bodies, redirects, stale routing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.doors.api.apis import BODY_LIMIT, DOCUMENTS, ApiApp, BadDocument, build, merge
from gateway.doors.http import shell
from gateway.doors.http.channel import identify
from gateway.doors.reply import Reply
from tests.doors.api.client import World, ask, served

ALL = [
    DOCUMENTS / f"{name}.yaml"
    for name in ("tokens", "feeds", "transfers", "bodies", "handlings", "cases", "audit", "management")
]


async def handler(services: Any, request: Any) -> Reply:
    return Reply(200, {}, b"reached")


NAMES = (
    "issueToken readAuthorizationServer listFeeds readFeed readFeeds readState readDigests readAtom "
    "readEventMessage exportFeed listReaders "
    "readFigures listTransfers readTransfer readAnswer sendBody readBody readCheckpoint readTile "
    "readUpload appendBody cancelUpload "
    "readConsistency readOrigin readProof readEntries reconcileCounts readStatus "
    "listSubscriptions subscribe readSubscription endSubscription pauseSubscription resumeSubscription "
    "moveSubscription replaySubscription listOwnHandlings readOwnHandling "
    "listOwnCases readOwnCase openOwnCase takeOwnCaseStep"
)
HANDLERS = dict.fromkeys(NAMES.split(), handler)


def exchange() -> dict[str, Any]:
    return merge(ALL, "exchange")


def test_every_operation_states_its_security_and_its_listeners() -> None:
    for path in ALL:
        for address, item in yaml.safe_load(path.read_text("utf-8"))["paths"].items():
            for operation in item.values():
                assert "security" in operation, address
                assert operation["security"] or operation["x-lgsp-public"], address
                assert set(operation["x-lgsp-listeners"]) <= {"exchange", "people"}
                assert {code[0] for code in operation["responses"]} >= {"2", "4", "5"}, address


def test_each_listener_serves_its_own() -> None:
    people = merge(ALL, "people")
    assert "/api/status" in people["paths"] and "/audit/checkpoint" in people["paths"]
    assert not {"/oauth/token", "/feeds/{contract}/v{major}", "/transfers/{transfer}", "/audit/proof/{transfer}"} & set(
        people["paths"]
    )
    assert "/api/status" not in exchange()["paths"]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/transfers/{transfer}", lambda operation: operation.pop("security")),
        ("/transfers/{transfer}", lambda operation: operation.update(security=[])),
        ("/transfers/{transfer}", lambda operation: operation.update(security=[{"system": []}, {}])),
        ("/transfers/{transfer}", lambda operation: operation.update(security=[{"nobody": []}])),
        ("/audit/checkpoint", lambda operation: operation.pop("x-lgsp-public")),
        ("/audit/checkpoint", lambda operation: operation.update(operationId="nothing")),
        ("/audit/checkpoint", lambda operation: operation.update(operationId="readTransfer")),
        ("/audit/consistency", lambda operation: operation["parameters"][0].update(schema={"type": "object"})),
        ("/audit/consistency", lambda operation: operation["parameters"][0].update({"in": "cookie"})),
    ],
)
def test_a_document_that_would_leave_something_open_refuses_to_start(path: str, change: Any, world: World) -> None:
    document = copy.deepcopy(exchange())
    change(document["paths"][path]["get"])
    with pytest.raises(BadDocument):
        build(document, HANDLERS, world.services, world.services.authenticate)


def test_a_body_that_would_go_unchecked_refuses_to_start(world: World) -> None:
    document = copy.deepcopy(exchange())
    body = document["paths"]["/oauth/token"]["post"]["requestBody"]["content"]
    body["application/json"] = body["application/x-www-form-urlencoded"]
    with pytest.raises(BadDocument):
        build(document, HANDLERS, world.services, world.services.authenticate)


def test_documents_that_disagree_refuse_to_start(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(
        (DOCUMENTS / "feeds.yaml").read_text("utf-8").replace("bearerFormat: JWT", "bearerFormat: other"), "utf-8"
    )
    with pytest.raises(BadDocument):
        merge([DOCUMENTS / "transfers.yaml", other], "exchange")
    with pytest.raises(BadDocument):
        merge([DOCUMENTS / "feeds.yaml", DOCUMENTS / "feeds.yaml"], "exchange")


def test_all_documents_are_served_not_only_the_first_and_the_last(world: World) -> None:
    assert {"/oauth/token", "/feeds/{contract}/v{major}", "/transfers/{transfer}", "/audit/checkpoint"} <= set(
        exchange()["paths"]
    )


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/feeds/",
        "/feeds/x",
        "/audit",
        "/audit/",
        "/audit/tile",
        "/transfers/",
        "/oauth/token/x",
        "//audit/checkpoint",
        "/api/status",
    ],
)
async def test_what_the_documents_do_not_hold_never_reaches_a_handler(path: str, world: World) -> None:
    app = served(build(exchange(), HANDLERS, world.services, world.services.authenticate), world.services)
    answer = await ask(app, "GET", path)
    assert answer.status == 404 and answer.json["code"] == "address.unknown"
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.services.settings.desk_named + "/docs" in answer.json["next"]


async def test_no_redirect_for_a_slash_too_many(world: World) -> None:
    answer = await world.public("GET", "/audit/checkpoint/", {"host": "evil.example"})
    assert answer.status == 404 and "location" not in answer.headers


async def test_the_method_is_part_of_the_address(world: World) -> None:
    answer = await world.public("DELETE", "/audit/checkpoint")
    assert answer.status == 405 and answer.json["code"] == "address.method"
    answer = await world.public("GET", "/oauth/token")
    assert answer.status == 405 and answer.json["error"] == "invalid_request"


async def test_routing_left_behind_by_an_earlier_request_counts_for_nothing(world: World) -> None:
    app = served(build(exchange(), HANDLERS, world.services, world.services.authenticate), world.services)
    kept = {
        "tls": {"client_cert_der": None},
        "connexion_routing": {"operation_id": "readTransfer", "api_base_path": ""},
    }
    answer = await ask(app, "GET", "/nothing", extensions=kept)
    assert answer.status == 404
    answer = await ask(app, "GET", "/transfers/01935b6e-0000-7000-8000-000000000001", extensions=kept)
    assert answer.status == 401 and answer.json["code"] == "channel.no-certificate"


@pytest.mark.parametrize(
    "path", ["/transfers/01935b6e-0000-7000-8000-000000000001", "/feeds/incident-alert/v1", "/audit/tile/entries/000"]
)
async def test_a_protected_operation_is_not_reached_without_proof(path: str, world: World) -> None:
    app = served(build(exchange(), HANDLERS, world.services, world.services.authenticate), world.services)
    answer = await ask(app, "GET", path)
    assert answer.status == 401 and answer.body != b"reached"
    answer = await ask(
        app, "GET", path, {"authorization": "Bearer x"}, certificate=world.identities["canh-bao"].tls_der
    )
    assert answer.status in (400, 401) and answer.json["code"].startswith("token.")
    assert len(world.logged("refusal")) == 2


async def test_a_body_over_the_limit_and_an_encoded_one(world: World) -> None:
    answer = await world.token("canh-bao", {"client_assertion": "x" * 30_000})
    assert answer.status == 413 and answer.json["code"] == "body.too-large"
    answer = await ask(
        world.app,
        "POST",
        "/oauth/token",
        {"content-encoding": "gzip"},
        b"x",
        certificate=world.identities["canh-bao"].tls_der,
    )
    assert answer.status == 415 and answer.json["error"] == "invalid_request"


async def test_all_that_is_wrong_with_the_parameters_is_told_without_their_values(world: World) -> None:
    answer = await world.public("GET", "/audit/consistency?from=secret&from=2&x=1")
    assert answer.status == 400 and answer.json["code"] == "api.invalid"
    assert [(found["here"], found["rule"]) for found in answer.json["findings"]] == [
        ("query from", "unique"),
        ("query x", "unknown"),
    ]
    answer = await world.public("GET", "/audit/consistency?from=secret")
    assert b"secret" not in answer.body and answer.json["findings"][0]["rule"] == "type"
    answer = await world.public("GET", "/audit/consistency")
    assert answer.json["findings"][0]["rule"] == "required"
    answer = await world.public("GET", "/audit/consistency?from=-1")
    assert answer.json["findings"][0] == {
        "here": "query from",
        "canonical": "",
        "got": "whole number",
        "rule": "minimum",
        "expected": "0",
    }
    answer = await world.public("GET", "/audit/tile/0/%2e%2e/x")
    assert answer.status in (400, 404)


@pytest.mark.parametrize("query", ["from", "from=%ff", "from=1&" + "&".join(f"a{number}=1" for number in range(80))])
async def test_a_query_that_is_none(query: str, world: World) -> None:
    answer = await world.public("GET", f"/audit/consistency?{query}")
    assert answer.status == 400 and answer.json["code"] == "api.invalid"


async def test_a_fault_of_ours_tells_nothing(world: World) -> None:
    async def broken(services: Any, request: Any) -> Reply:
        raise RuntimeError("the password is hunter2")

    handlers = {**HANDLERS, "readCheckpoint": broken}
    app = served(build(exchange(), handlers, world.services, world.services.authenticate), world.services)
    answer = await ask(app, "GET", "/audit/checkpoint", {"accept-language": "en"})
    assert answer.status == 500 and answer.json["code"] == "gateway.fault" and b"hunter2" not in answer.body
    assert answer.json["title"] == "A fault of the gateway"


async def test_a_caller_is_identified_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes | None] = []

    def counting(certificate: bytes | None, *more: Any) -> Any:
        calls.append(certificate)
        return identify(certificate, *more)

    monkeypatch.setattr(shell, "identify", counting)
    assert (await world.token("canh-bao")).status == 200 and len(calls) == 1
    headers = await world.signed_headers("canh-bao", "GET", "/transfers/01935b6e-0000-7000-8000-000000000001")
    calls.clear()
    target = "/transfers/01935b6e-0000-7000-8000-000000000001"
    answer = await ask(world.app, "GET", target, headers, certificate=world.identities["canh-bao"].tls_der)
    assert answer.json["code"] == "transfer.unknown" and len(calls) == 1


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/a/x/b", 10), ("/a", 20), ("/a/x", BODY_LIMIT), ("/a/x/b/c", BODY_LIMIT), ("/b/x/b", BODY_LIMIT)],
)
def test_the_limit_of_a_body_holds_for_each_address_of_a_path(world: World, path: str, limit: int) -> None:
    app = ApiApp(None, world.services, frozenset(), {"/a/{id}/b": 10, "/a": 20})
    assert app._limit(path) == limit
