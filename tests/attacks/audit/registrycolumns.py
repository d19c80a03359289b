"""The registry's part of the list in `columns.py`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.attacks.audit.picking import Column, Pick, Value, made, now, nth, other, plus, to, where


def registry() -> Iterator[Column]:
    def of_table(table: str, pick: Pick, key: str, **values: Value) -> Iterator[Column]:
        for name, value in values.items():
            yield Column(table, name, "registered", pick, value, f"the registry, {table} {key}")

    yield from of_table(
        "agency",
        where(code="H14.5"),
        "{code}",
        code=to("H14.8"),
        name_vi=other,
        name_en=other,
        level=to("commune"),
        roles=to('["centre"]'),
        contact=other,
        state=to("suspended"),
        clock=to("[[0,86400]]"),
    )
    yield from of_table(
        "system",
        where(id="do-thi"),
        "{id}",
        id=to("do-thi-2"),
        agency=other,
        title_vi=other,
        title_en=other,
        formats=other,
        endpoint=other,
        state=to("suspended"),
        versions=to('{"field-report/v1":"newest"}'),
        contact=to('{"office":"Phòng khác"}'),
    )
    yield from of_table(
        "system_key",
        where(key_id="canh-bao.sign-1"),
        "{key_id}",
        key_id=to("canh-bao.sign-2"),
        system=to("bao-chay"),
        use=to("encrypt"),
        thumbprint=made(lambda text: text[::-1]),
        certificate=other,
        valid_from=plus(-86_400),
        valid_until=plus(365 * 86_400),
        state=to("revoked"),
        algorithm=to("ed25519"),
        authority=to("chuyen-dung"),
        stated=to(True),
        revoked=now,
        reason=to("keyCompromise"),
    )
    yield from of_table(
        "outside_authority",
        nth(),
        "{name}",
        name=to("chuyen-dung-2"),
        uses=to('["tls","sign","encrypt"]'),
        crl=to("[]"),
        certificates=lambda look, *_: look.whole.keyring.trust_anchors.read_text("ascii"),
        ocsp=to("http://localhost:1/ocsp"),
        grace=plus(86_400),
    )
    yield from of_table(
        "certificate_status",
        nth(),
        'certificate_status ["{thumbprint}","{source}"]'.removeprefix("certificate_status "),
        thumbprint=lambda look, *_: look.rows("system_key")[0]["thumbprint"],
        source=to("ocsp"),
        authority=to("chuyen-dung-2"),
        status=to("revoked"),
        this_update=plus(3600),
        next_update=plus(30 * 86_400),
        revoked=now,
        reason=to("keyCompromise"),
        digest=made(lambda text: text[::-1]),
    )
    yield from of_table(
        "access_grant",
        where(id="G-0902"),
        "{id}",
        id=to("G-0905"),
        body=other,
        state=to("active"),
        source=to("document"),
    )
    yield from of_table(
        "officer",
        nth(),
        "{id}",
        id=to("can-bo-3"),
        agency=other,
        name_vi=other,
        name_en=other,
        public_key=other,
        thumbprint=made(lambda text: text[::-1]),
        state=to("retired"),
        since=plus(-86_400),
    )
    yield from of_table(
        "officer_passkey",
        nth(),
        "{thumbprint}",
        thumbprint=made(lambda text: text[::-1]),
        officer=to("can-bo-an-toan-2"),
        credential=to("AAAA"),
        origin=to("https://khac.example"),
        public_key=lambda look, *_: look.rows("officer")[1]["public_key"],
        state=to("revoked"),
        since=plus(-86_400),
    )
    yield from of_table(
        "person",
        nth(),
        "{id}",
        id=to("nguoi-moi"),
        agency=other,
        role=to("operator"),
        name_vi=other,
        name_en=other,
        public_key=other,
        thumbprint=made(lambda text: text[::-1]),
        state=to("retired"),
        since=plus(-86_400),
    )
    yield from of_table(
        "approval",
        where(subject="grant G-0902", officer="can-bo-an-toan-1"),
        '["{subject}","{digest}","{officer}"]',
        subject=to("grant G-0003"),
        digest=other,
        officer=to("can-bo-3"),
        signature=other,
        given=plus(-86_400),
        voided=now,
    )
    yield from of_table(
        "notice",
        where(what="system"),
        '["{what}","{id}"]',
        what=to("agency"),
        id=to("bao-chay"),
        reason_vi=to("Hết hạn"),
        reason_en=to("It expired"),
        since=plus(-86_400),
        until=now,
    )
    yield from of_table(
        "registry_proposal",
        where(subject="system do-thi"),
        '["{subject}",{edition}]',
        subject=to("system do-thi-2"),
        edition=plus(10),
        body=other,
        state=to("waiting"),
        basis=to("officers"),
        standing=to("suspended"),
        proposed=plus(-86_400),
        decided=now,
    )
    yield from of_table(
        "indicator",
        where(code="KT-05", version=1),
        '["{code}",{version}]',
        code=to("KT-99"),
        version=plus(10),
        body=made(lambda text: text.replace("H14.4", "H14.7")),
    )
    yield from of_table(
        "route",
        nth(),
        "{id}",
        id=plus(100),
        contract=to("indicator/v1"),
        operation=to("getValue"),
        when=to('{"area":["01393"]}'),
        system=to("do-thi"),
        position=plus(10),
        agencies=to('["H14.7"]'),
        hours=to('"office"'),
        outside=to('["H14.7"]'),
    )
    yield from of_table(
        "bundle",
        nth(),
        "{digest}",
        digest=made(lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")),
        contract=to("camera-event/v3"),
        version=to("9.0.0"),
        withdrawn=to(True),
    )
    yield Column("bundle", "content", "registered", nth(), other, "the registry, bundle {digest}: its content")
    yield from of_table("contract_in_force", nth(), "{contract}", contract=to("camera-event/v3"), digest=other)
    listed = where(issuer="tls")
    lists: dict[str, Value] = {
        "issuer": to("tls-1"),
        "number": plus(-1),
        "this_update": plus(3600),
        "next_update": plus(86_400),
    }
    lists["crl"] = lambda look, *_: look.whole.empty_list
    for name, value in lists.items():
        yield Column("revocation_list", name, "tables", listed, value, "the revocation list {issuer}")
    version = where(of_table="access_grant", key="G-0902")
    versions: dict[str, Value] = {
        "of_table": to("officer"),
        "key": to("G-0905"),
        "revision": plus(-1),
        "content": made(lambda text: text.replace("indicator/v1", "indicator/v2")),
        "digest": made(lambda text: text[::-1]),
        "since": plus(-3600),
        "what": to("registry"),
        "actor": to("nobody"),
        "entry": made(lambda text: text[::-1]),
        "until": plus(1),
    }
    for name, value in versions.items():
        named = "the registry's history, {of_table} {key} of revision {revision}"
        yield Column("registry_history", name, "registered", version, value, named)
