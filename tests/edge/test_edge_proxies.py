"""Behind real proxies, configured as deploy/ has it: a whole signed exchange, and nobody is taken for somebody else."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from lxml import etree

from examples.story.exchange import ALERTS, INDICATOR, NS
from gateway.sample_client.rest import Prepared
from gateway.sandbox.standins import messages
from tests.attacks.conftest import QUESTION, Judge
from tests.attacks.raw import Told, of, read_one
from tests.edge.conftest import Edged, rest_via, soap_via
from tests.faults.load import until
from tests.stored import rows

pytestmark = pytest.mark.server

VICTIM, OTHER = "bao-chay", "y-te"
PATH = "/incident-alert/v1/alerts"


def claims(edged: Edged, system: str = VICTIM) -> dict[str, str]:
    """A system's certificate, as public as any, in the two forms that an edge tells."""
    pem = (edged.world.identities / system / "tls.crt").read_text("ascii")
    first = pem[: pem.index("-----END CERTIFICATE-----") + 26]
    return {
        "rfc9440": f":{base64.b64encode(ssl.PEM_cert_to_DER_cert(first)).decode()}:",
        "nginx": quote(first, safe=""),
    }


def spellings(edged: Edged) -> list[list[tuple[str, str]]]:
    told = claims(edged)
    rfc, nginx = told["rfc9440"], told["nginx"]
    return [
        [("Client-Cert", rfc)],
        [("client-cert", rfc)],
        [("CLIENT-CERT", rfc)],
        [("Client_Cert", rfc)],
        [("Client-Cert", rfc), ("Client-Cert", rfc)],
        [("Client-Cert", rfc), ("Client_Cert", rfc)],
        [("Client-Cert", rfc), ("Client-Cert-Chain", rfc)],
        [("X-SSL-Client-Cert", nginx)],
        [("x-ssl-client-cert", nginx), ("Client-Cert", rfc)],
        [("X_SSL_Client_Cert", nginx)],
        [("X-SSL-Client_Cert", nginx)],
        [("Connection", "Client-Cert, X-SSL-Client-Cert"), ("Client-Cert", rfc), ("X-SSL-Client-Cert", nginx)],
    ]


def prepared(edged: Edged) -> Prepared:
    body = json.dumps(messages.fire_alarm(), ensure_ascii=False).encode()
    return edged.world.rest(VICTIM).prepare("POST", PATH, body, token="none")


def ask(port: int, context: ssl.SSLContext | None, data: bytes, path: str = "") -> Told | None:
    """One exchange on a connection of its own, over TLS or at a Unix socket."""
    if context is None:
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(path)
    else:
        plain = socket.create_connection(("127.0.0.1", port), 10)
    with plain if context is None else context.wrap_socket(plain, server_hostname="localhost") as sock:
        sock.settimeout(60)
        sock.sendall(data)
        return read_one(sock)[0]


def port_of(site: str) -> int:
    return int(site.rpartition(":")[2])


def context_of(edged: Edged, certificate: Path | None) -> ssl.SSLContext:
    context = edged.world.identity(VICTIM).client_context(with_certificate=False)
    if certificate is not None:
        context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
    return context


def trailing(request: Prepared, more: Sequence[tuple[str, str]]) -> bytes:
    """The claim in the trailer of a chunked body."""
    bare = Prepared(request.method, request.path, request.target, request.headers, b"")
    names = ", ".join(name for name, _ in more)
    trailer = "".join(f"{name}: {value}\r\n" for name, value in more).encode()
    top = of(bare, [("transfer-encoding", "chunked"), ("trailer", names)])
    return top + b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(request.body), request.body, trailer)


# --- what must go through ---------------------------------------------------------------------------------------------


def test_a_whole_signed_exchange_by_rest(edge: str, edged: Edged) -> None:
    client = rest_via(edge, edged, VICTIM)
    answer = client.call("POST", PATH, messages.fire_alarm())
    assert answer.ok and answer.verified and answer.receipt is not None, answer.body
    asked = rest_via(edge, edged, OTHER).call("GET", QUESTION)
    assert asked.ok and asked.verified, asked.body


def test_the_target_goes_on_byte_for_byte(edge: str, edged: Edged) -> None:
    """`@target-uri` is taken from what the client wrote: whatever an edge would tidy up would break the signature."""
    for path in (QUESTION.replace("KT-05", "%4BT-05"), QUESTION + "&", QUESTION.replace("period=", "peri%6Fd=")):
        answer = rest_via(edge, edged, OTHER).call("GET", path)
        assert answer.verified, (path, answer.status, answer.body)


def test_a_whole_signed_exchange_by_soap(edge: str, edged: Edged) -> None:
    answer = soap_via(edge, edged, "canh-bao").call(ALERTS, "submitAlert", messages.cap_alert())
    assert answer.ok and answer.verified and answer.receipt is not None, answer.raw
    question = etree.fromstring(f'<queryValues xmlns="{NS}"/>')
    for name, value in {"indicator": "KT-05", "area": "04", "period": "2026-Q3"}.items():
        etree.SubElement(question, f"{{{NS}}}{name}").text = value
    found = soap_via(edge, edged, "do-thi").call(INDICATOR, "queryValues", question)
    assert found.verified, found.raw


# --- what must not ----------------------------------------------------------------------------------------------------


@pytest.fixture
def judge(edged: Edged) -> Judge:
    return Judge(edged.world)


def settle(judge: Judge) -> None:
    """Each refusal is in the log, once, under the id that its answer named. An entry may be on its way from one table
    to the next as we look."""
    expected = {transfer: [code] for transfer, (code, _) in judge.told.items()}
    assert expected
    until("each refusal in the log", lambda: judge.log() == expected)


def test_a_client_without_certificate_is_told_so(edge: str, edged: Edged, judge: Judge) -> None:
    judge.refused(ask(port_of(edge), context_of(edged, None), of(prepared(edged))), "channel.no-certificate", 401)
    settle(judge)


def test_no_spelling_makes_somebody_of_nobody(edge: str, edged: Edged, judge: Judge) -> None:
    nobody = context_of(edged, None)
    before = judge.seen()
    for more in spellings(edged):
        judge.refused(ask(port_of(edge), nobody, of(prepared(edged), more)), "channel.no-certificate", 401)
        judge.refused(ask(port_of(edge), nobody, trailing(prepared(edged), more[:1])), "channel.no-certificate", 401)
    settle(judge)
    assert judge.seen() == before


def test_no_spelling_makes_another_of_somebody(edge: str, edged: Edged, judge: Judge) -> None:
    """Under its own certificate a system stays itself, whatever it claims: the victim's token is not for it."""
    client = rest_via(edge, edged, VICTIM)
    own = context_of(edged, edged.world.identities / OTHER / "tls")
    for more in spellings(edged):
        request = client.prepare("POST", PATH, messages.fire_alarm())
        judge.refused(ask(port_of(edge), own, of(request, more)), "token.other-certificate")
    settle(judge)


def test_a_folded_claim_is_no_claim(edge: str, edged: Edged) -> None:
    value = claims(edged)["rfc9440"]
    for more in ([("X-Any", f"1\r\n Client-Cert: {value}")], [("Client-Cert", f"\r\n {value}")]):
        told = ask(port_of(edge), context_of(edged, None), of(prepared(edged), more))
        assert told is None or told.status in (400, 401), told


@pytest.mark.parametrize("who", ["nobody", "a system"])
@pytest.mark.parametrize("listener", ["exchange_port", "edge_port"])
def test_at_the_listeners_only_a_proxy_is_believed(listener: str, who: str, edged: Edged, judge: Judge) -> None:
    """A system that comes straight to the proxies' listener is nobody there, even with a certificate that the exchange
    knows."""
    context = context_of(edged, edged.world.identities / OTHER / "tls" if who == "a system" else None)
    known = who == "a system" and listener == "exchange_port"
    for more in spellings(edged):
        told = ask(getattr(edged.settings, listener), context, of(prepared(edged), more))
        judge.refused(told, "token.malformed" if known else "channel.no-certificate")
    settle(judge)


def test_a_proxy_is_believed_only_in_the_form_agreed_on(edged: Edged, judge: Judge) -> None:
    told, proxy = claims(edged), context_of(edged, edged.folder / "edge")
    value = told["rfc9440"]
    expected: dict[str, list[list[tuple[str, str]]]] = {
        "token.malformed": [
            [("Client-Cert", value)],
            [("client-cert", f" {value} ")],
        ],  # past the channel: the certificate is believed
        "channel.no-certificate": [
            [],
            [("Client-Cert", "")],
            [("Client-Cert", "::")],
            [("Client_Cert", value)],
            [("Client-Cert-Chain", value)],
            [("X-SSL-Client-Cert", told["nginx"])],
        ],
        "channel.certificate-unreadable": [
            [("Client-Cert", value), ("Client-Cert", value)],
            [("Client-Cert", f"{value}, {value}")],
            [("Client-Cert", "::"), ("Client-Cert", value)],
            [("Client-Cert", value[1:-1])],
            [("Client-Cert", told["nginx"])],
            [("Client-Cert", f"{value};a=1")],
            [("Client-Cert", value[:-3] + "*" + value[-2:])],
            [("Client-Cert", ":")],
        ],
        "channel.unknown-system": [
            [("Client-Cert", ":AAAA:")],
            [("Client-Cert", claims(edged, "chua-dang-ky")["rfc9440"])],
        ],
    }
    for code, requests in expected.items():
        for more in requests:
            judge.refused(ask(edged.settings.edge_port, proxy, of(prepared(edged), more)), code)
    assert ask(edged.settings.edge_port, proxy, trailing(prepared(edged), [("Client-Cert", value)])) is not None
    settle(judge)


def test_one_connection_of_a_proxy_carries_each_client_apart(edged: Edged) -> None:
    """What one request tells is forgotten with it."""
    proxy = context_of(edged, edged.folder / "edge")
    plain = socket.create_connection(("127.0.0.1", edged.settings.edge_port), 10)
    with proxy.wrap_socket(plain, server_hostname="localhost") as sock:
        codes = []
        for more in (
            [("Client-Cert", claims(edged)["rfc9440"])],
            [],
            [("Client-Cert", claims(edged, "chua-dang-ky")["rfc9440"])],
            [],
        ):
            sock.sendall(of(prepared(edged), more))
            told, left = read_one(sock)
            assert told is not None and not left
            codes.append(told.code)
    assert codes == ["token.malformed", "channel.no-certificate", "channel.unknown-system", "channel.no-certificate"]


def source_of(edged: Edged, told: Told | None) -> str:
    """Whom the log names as the source of a refusal."""
    assert told is not None
    query = " union all ".join(
        f"select entry from {table} where transfer = ?" for table in ("log_entry", "log_pending")
    )
    ((entry,),) = until("the refusal in the log", lambda: rows(edged.settings, query, told.transfer, told.transfer))
    return str(json.loads(entry)["source"])


def test_the_log_names_the_client_and_only_a_proxy_can_say_who_that_is(caddy: str, nginx: str, edged: Edged) -> None:
    time.sleep(1.1)  # what a flood before added up to would be told of it, too
    nobody, proxy = context_of(edged, None), context_of(edged, edged.folder / "edge")
    forged = [("X-Forwarded-For", "192.0.2.9")]
    for site in (caddy, nginx):
        assert source_of(edged, ask(port_of(site), nobody, of(prepared(edged), forged))) == "127.0.0.1"
    for port in (edged.settings.exchange_port, edged.settings.edge_port):
        assert source_of(edged, ask(port, nobody, of(prepared(edged), forged))) == "127.0.0.1"
    for value, source in (
        ("192.0.2.9", "192.0.2.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("192.0.2.9, 192.0.2.8", "127.0.0.1"),
        ("x", "127.0.0.1"),
    ):
        told = ask(edged.settings.edge_port, proxy, of(prepared(edged), [("X-Forwarded-For", value)]))
        assert source_of(edged, told) == source, value


def test_the_socket_opens_for_the_owner_alone_and_speaks_its_own_dialect(edged: Edged, judge: Judge) -> None:
    path = edged.settings.edge_socket
    assert Path(path).stat().st_mode & 0o777 == 0o600
    told = claims(edged)
    for more, code in (
        ([("X-SSL-Client-Cert", told["nginx"])], "token.malformed"),
        ([], "channel.no-certificate"),
        ([("Client-Cert", told["rfc9440"])], "channel.no-certificate"),
        ([("X_SSL_Client_Cert", told["nginx"])], "channel.no-certificate"),
        (
            [("X-SSL-Client-Cert", told["nginx"]), ("X-SSL-Client-Cert", told["nginx"])],
            "channel.certificate-unreadable",
        ),
        ([("X-SSL-Client-Cert", told["nginx"] * 2)], "channel.certificate-unreadable"),
        ([("X-SSL-Client-Cert", told["rfc9440"])], "channel.certificate-unreadable"),
    ):
        judge.refused(ask(0, None, of(prepared(edged), more), path), code)
    settle(judge)
