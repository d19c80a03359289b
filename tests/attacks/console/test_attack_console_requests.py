"""Requests of other sites and hostile requests: forgery, fixation, framing, redirects, forms, headers."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode, urlsplit

import pytest
from sqlalchemy import func, select

from gateway.console.accounts import secrets
from gateway.console.pages import pages
from gateway.console.roles import Role
from gateway.console.site import guard
from gateway.console.site.entrance import local
from gateway.doors.http.server import make_server
from gateway.journal.schema import tables
from tests.attacks.console.walking import addresses
from tests.console.people import HOST, PASSWORD, Desk, Person
from tests.doors.api.client import Answer, ask

ALL = tuple(Role)
ACTS = ["/console" + page.path.replace("{", "").replace("}", "") for page in pages() if page.method == "POST"]
OWN = f"https://{HOST}"


FOREIGN: list[dict[str, str]] = [
    {"origin": ""},
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": f"https://{HOST}.evil.example"},
    {"origin": f"http://{HOST}"},
    {"origin": f"https://{HOST}:444"},
    {"origin": f"{OWN}/"},
    {"origin": f"{OWN}, https://evil.example"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "none"},
]
ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/console//evil.example",
    "/console/../..//evil.example",
    "/consoleevil",
    "/console@evil.example",
    "/console.evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " https://evil.example",
    "\thttps://evil.example",
    "/console\r\nset-cookie: a=b",
    "/console\x00",
    "/console/%0d%0aset-cookie:a=b",
    "/console\u2028x",
    "http:/console",
    "",
]
FORMS: list[tuple[bytes, dict[str, str]]] = [
    (b"a=" + b"x" * (guard.MOST_FORM + 1), {}),
    (b"&".join(b"a%d=1" % n for n in range(guard.MOST_FIELDS + 1)), {}),
    (b"csrf=%FF", {}),
    (b"csrf=\xff\xfe", {}),
    (b"csrf=\xed\xa0\x80", {}),
    (b"{}", {"content_type": "application/json"}),
    (b"csrf=x", {"content_type": "text/plain"}),
    (b"csrf=x", {"content_type": ""}),
    (b"--x\r\n", {"content_type": "multipart/form-data; boundary=x"}),
    (b"", {}),
    (b"&" * 200_000, {}),
    (b"=" * 200_000, {}),
    (b"csrf=x;csrf=y", {}),
    (b"csrf=%", {}),
]
SPLITTING = ["\r\nset-cookie: a=b", "%0d%0aset-cookie:%20a=b", "\u560d\u560aset-cookie: a=b", "\x0bx"]
HOSTS = ["evil.example", f"{HOST}@evil.example", f"{HOST}.evil.example", "", "a b"]


def entries(desk: Desk) -> int:
    with desk.world.engine.connect() as connection:
        return sum(
            connection.scalar(select(func.count()).select_from(each)) or 0
            for each in (tables.log_pending, tables.log_entry)
        )


async def raw(person: Person, target: str, body: bytes, **headers: str) -> Answer:
    named = {
        "host": HOST,
        "cookie": person.cookie,
        "origin": OWN,
        "content-type": "application/x-www-form-urlencoded",
        "accept-language": "en",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return await ask(person.desk.app, "POST", target, {name: value for name, value in named.items() if value}, body)


@pytest.mark.attack("csrf")
async def test_a_form_of_another_site_does_nothing(people: Desk) -> None:
    """Even with the right token, as a reader of pages would have it."""
    lan = await people.signed_in("lan", *ALL)
    before = entries(people)
    form = f"csrf={secrets.csrf_of(lan.cookie.partition('=')[2])}&id=x&reason=reason+enough".encode()
    for headers in FOREIGN:
        for target in (*ACTS, "/console/sign-out"):
            answer = await raw(lan, target, form, **headers)
            assert answer.status == 403 and b"console.origin" in answer.body, (target, headers)
        for target in ("/console/sign-in", "/console/link/x"):
            assert (await raw(Person(people, "lan"), target, b"name=lan", **headers)).status == 403
    assert entries(people) == before and (await lan.get("/console")).status == 200


@pytest.mark.attack("rebinding")
async def test_a_name_that_a_stranger_lets_lead_here_is_not_this_site(people: Desk) -> None:
    """Its pages are of the same origin for a browser: `Host`, `Origin` and `Sec-Fetch-Site` agree."""
    before = entries(people)
    names = ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil")
    lan = await people.signed_in("lan", *ALL)
    form = f"csrf={secrets.csrf_of(lan.cookie.partition('=')[2])}&id=x&reason=reason+enough".encode()
    signed_in = entries(people)
    for host in names:
        own = {"host": host, "origin": f"https://{host}"}
        for target in ("/console/sign-in", "/console/sign-in/passkey", "/console/link/x"):
            answer = await raw(Person(people, "lan"), target, b"name=lan", **own, sec_fetch_site="same-origin")
            assert answer.status == 403 and b"console.host" in answer.body, (target, host)
            assert b"desk_base" in answer.body
        answer = await raw(lan, "/console/people", form, **own)
        assert answer.status == 403 and b"console.host" in answer.body
    assert entries(people) == signed_in >= before
    for host in ("localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3"):
        answer = await raw(Person(people, "lan"), "/console/sign-in", b"name=lan", host=host, origin=f"https://{host}")
        assert b"console.host" not in answer.body and answer.status != 403, host


@pytest.mark.attack("csrf")
async def test_a_form_without_the_sessions_own_token_does_nothing(people: Desk) -> None:
    lan = await people.signed_in("lan", *ALL)
    other = await people.signed_in("minh", *ALL)
    before = entries(people)
    theirs = secrets.csrf_of(other.cookie.partition("=")[2])
    for token in ("", theirs, theirs.upper(), "%00", "0" * 64, lan.cookie.partition("=")[2], "%C3%A9"):
        for target in (*ACTS, "/console/sign-out"):
            answer = await raw(lan, target, f"csrf={token}&id=x".encode())
            assert answer.status == 403 and b"console.origin" in answer.body, (target, token)
    assert entries(people) == before and (await lan.get("/console")).status == 200


@pytest.mark.attack("csrf")
async def test_nothing_acts_by_an_address_alone(people: Desk) -> None:
    """What a picture on another site can ask for changes no row of an account and writes no entry."""
    lan = await people.signed_in("lan", *ALL)
    before = entries(people)
    for target in (*ACTS, "/console/sign-out", *addresses("lan")):
        await lan.get(f"{target}?csrf={secrets.csrf_of(lan.cookie.partition('=')[2])}&id=x&state=disabled")
    assert entries(people) == before
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = await ask(people.app, method, "/console/people", {"host": HOST, "cookie": lan.cookie})
        assert answer.status in (404, 405), method


@pytest.mark.attack("session")
@pytest.mark.parametrize("name", ["__Host-lgsp", "lgsp-session"])
async def test_a_session_cannot_be_fixed_beforehand(people: Desk, name: str) -> None:
    people.add("lan", Role.OFFICER)
    planted = Person(people, "lan", cookie=f"{name}=planted")
    given = {"name": "lan", "password": PASSWORD, "code": people.code("lan")}
    answer = await planted.send("/console/sign-in", given)
    cookie = answer.headers["set-cookie"]
    assert answer.status == 303 and "planted" not in cookie
    assert (await planted.get("/console")).status == 303
    with people.world.engine.connect() as connection:
        rows = connection.execute(select(tables.console_session)).all()
    assert len(rows) == 1 and cookie.partition("=")[2].partition(";")[0] not in str(rows)


@pytest.mark.attack("session")
async def test_the_cookie_is_for_this_host_over_tls_and_for_no_script(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    given = {"name": "lan", "password": PASSWORD, "code": people.code("lan")}
    cookie = (await Person(people, "lan").send("/console/sign-in", given)).headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    flags = {each.strip().lower() for each in rest.split(";")[1:]}
    assert name == "__Host-lgsp" and flags == {"path=/", "httponly", "samesite=strict", "secure"}
    assert "domain" not in cookie.lower() and guard.cookie_name(False) == "lgsp-session"
    plain = Person(people, "lan", cookie=f"lgsp-session={rest.partition(';')[0]}")
    assert (await plain.get("/console")).status == 303  # a cookie that plain HTTP can set counts for nothing under TLS


@pytest.mark.attack("session")
async def test_a_stolen_cookie_ends_with_its_session(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OFFICER)
    thief = Person(people, "lan", cookie=lan.cookie)
    assert (await thief.get("/console")).status == 200
    await lan.post("/console/sign-out")
    assert (await thief.get("/console")).status == 303
    for wrong in ("", "x", "x" * 5000, lan.cookie.partition("=")[2][:-1], "%00", '"', "a;b"):
        assert (await Person(people, "lan", cookie=f"__Host-lgsp={wrong}").get("/console")).status == 303


@pytest.mark.attack("clickjacking")
async def test_no_answer_can_be_framed_sniffed_or_kept(people: Desk) -> None:
    lan, nobody = await people.signed_in("lan", *ALL), Person(people, "x")
    for target in (*addresses("lan"), "/console/status", "/console/sign-in", "/console/nothing", "/console/link/x"):
        for person in (lan, nobody):
            headers = (await person.get(target)).headers
            policy = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy, target
            assert "unsafe" not in policy and "*" not in policy and "data:" not in policy, target
            assert headers["x-content-type-options"] == "nosniff", target
            assert headers["cache-control"] == "no-store" and "access-control-allow-origin" not in headers, target


@pytest.mark.attack("clickjacking")
def test_no_answer_of_any_listener_can_be_framed() -> None:
    """Each listener is a server of this function. Its headers are those of every answer, the documentation's too."""
    config = make_server(None, context=None, drain_seconds=0.0, on_drain=lambda: None).config
    config.load()
    assert (b"x-frame-options", b"DENY") in config.encoded_headers


@pytest.mark.attack("redirect")
async def test_nobody_is_sent_to_another_site(people: Desk) -> None:
    people.add("lan", Role.OFFICER)
    nobody = Person(people, "lan")
    for to in ELSEWHERE:
        people.moved += 90  # a code counts once
        given = {"name": "lan", "password": PASSWORD, "code": people.code("lan"), "next": to}
        places = [local(to), (await nobody.send("/console/sign-in", given)).headers["location"]]
        places.append((await nobody.get(f"/console/language?to=en&next={quote(to)}")).headers["location"])
        for place in places:
            parts = urlsplit(place)
            assert not parts.scheme and not parts.netloc and place.isprintable(), place
            assert parts.path == "/console" or parts.path.startswith("/console/"), place
        page = (await nobody.get(f"/console/sign-in?next={quote(to)}")).body.decode()
        assert "evil.example" not in page


@pytest.mark.attack("form")
async def test_a_hostile_form_is_refused(people: Desk) -> None:
    lan = await people.signed_in("lan", *ALL)
    before = entries(people)
    for body, headers in FORMS:
        for target in ACTS:
            answer = await raw(lan, target, body, **headers)
            assert answer.status in (400, 403), (target, answer.status, body[:20])
        assert (await raw(Person(people, "x"), "/console/sign-in", body, **headers)).status in (400, 401, 429)
    assert entries(people) <= before + len(FORMS)


@pytest.mark.attack("form")
async def test_repeated_fields_do_not_hide_a_second_value(people: Desk) -> None:
    """A checker that reads the first value and an act that reads the last would differ."""
    lan = await people.signed_in("lan", *ALL)
    csrf = secrets.csrf_of(lan.cookie.partition("=")[2])
    twice = f"csrf={csrf}&csrf=x&id=new&agency=H14.0&name=N&roles=officer"
    assert (await raw(lan, "/console/people", twice.encode())).status == 403
    repeated = f"csrf={csrf}&id=new&id=other&agency=H14.0&name=N&roles=steward"
    assert (await raw(lan, "/console/people", repeated.encode())).status == 400
    people.add("minh", Role.VENDOR)
    before = people.code("minh")
    hidden = {"name": ["nobody", "minh"], "password": PASSWORD, "code": before}
    assert (await Person(people, "x").send("/console/sign-in", hidden)).status == 401


@pytest.mark.attack("splitting")
async def test_no_text_becomes_a_header(people: Desk) -> None:
    lan = await people.signed_in("lan", *ALL)
    for text in map(quote, SPLITTING):
        targets = [f"/console/go?q={text}", f"/console/language?to={text}&next=/console/{text}"]
        targets += [f"{each}?done={text}&cursor={text}&agency={text}" for each in addresses(text)]
        for target in targets:
            for name, value in (await lan.get(target)).headers.items():
                assert "\r" not in value and "\n" not in value and "a=b" not in name, (target, name)
                assert name != "set-cookie" or "a=b" not in value, target


@pytest.mark.attack("host")
async def test_another_host_name_gives_nothing(people: Desk) -> None:
    """No answer takes an address from it; a form of the true site is not taken under it."""
    lan = await people.signed_in("lan", *ALL)
    form = f"csrf={secrets.csrf_of(lan.cookie.partition('=')[2])}".encode()
    pages_of = ("/console", "/console/people", "/console/nothing", "/", "/console/sign-in?next=/console/people")
    for host in HOSTS:
        headers = {"host": host, "cookie": lan.cookie, "x-forwarded-host": "evil.example", "x-forwarded-proto": "http"}
        for target in pages_of:
            answer = await ask(people.app, "GET", target, headers)
            body = re.sub(rb' data-options="[^"]*"', b"", answer.body)  # what the browser named
            assert b"evil.example" not in body, target
            assert "evil.example" not in "".join(answer.headers.values()), target
        answer = await raw(lan, "/console/people/lan/link", form, host=host)
        assert answer.status == 403 and b"console.host" in answer.body, host


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "9999-12-31T23:59-23:59", "0001-01-01T00:00+23:59"])
async def test_a_day_at_the_end_of_the_calendar_is_a_wrong_form(people: Desk, day: str) -> None:
    lan = await people.signed_in("lan", Role.AUDITOR)
    for name in ("from", "to"):
        assert (await lan.get(f"/console/search?{urlencode({name: day})}")).status == 400
