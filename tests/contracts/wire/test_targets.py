"""Kit, agent and door read one target: what is signed is what is sent, byte for byte, or it is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from contracts.wire.targets import is_plain
from gateway.client.errors import BadUsage
from gateway.client.rest import url_of
from gateway.doors.http.body import TARGET, target_uri
from gateway.doors.http.framing import _REQUEST_LINE

BASE = "https://trao-doi.example:8443"
PIECES = [
    "?",
    "/",
    "//",
    "#",
    "%2f",
    "%2F",
    "%2e%2e",
    "%",
    "%zz",
    "..",
    ".",
    "\\",
    " ",
    "+",
    "&",
    "=",
    "a",
    "ạ",
    "\ud800",
    "\n",
]
SPELLINGS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join)


@pytest.mark.parametrize(
    "target", ["/handlings?", "/handlings??", "/a?x=%2f", "/a?%e1%ba%a1", "/a/?", "//a?", "/?", "/a?x=#"]
)
def test_these_spellings(target: str) -> None:
    one_reading(target)


@given(SPELLINGS)
def test_all_spellings(text: str) -> None:
    one_reading(f"/{text}")


def one_reading(target: str) -> None:
    try:
        url = url_of(BASE, target)
    except BadUsage:
        assert "#" in target or any("\ud800" <= each <= "\udfff" for each in target)
        return
    sent = URL(url, encoded=True).raw_path_qs  # as the kit's transport makes it
    line = f"GET {sent} HTTP/1.1\r\n".encode("ascii")
    assert _REQUEST_LINE.fullmatch(line), "the door takes it"
    assert target_uri({TARGET: sent.encode()}, BASE) == url, "the door verifies what the kit signed"
    assert url_of(BASE, url.removeprefix(BASE)) == url


def test_spellings_of_one_address_are_one() -> None:
    assert url_of(BASE, "/handlings?") == url_of(BASE, "/handlings")
    assert url_of(BASE, "/a?x=%2f%c3") == url_of(BASE, "/a?x=%2F%C3")


@pytest.mark.parametrize(
    "path", ["//a/v1/x", "/a/v1/../x", "/a/v1/%2e%2e/x", "/a/v1/..%2fx", "/a//x", "/a/%2E/x", "/a\\x", "/"]
)
def test_a_path_with_two_readings_is_not_plain(path: str) -> None:
    assert not is_plain(path) and not is_plain(f"{path}?x=1")


def test_a_plain_path_is() -> None:
    assert is_plain("/incident-alert/v1/alerts?area=%2e%2e") and is_plain("/contracts/a/v1/openapi.yaml")
    assert not is_plain("/a#b") and not is_plain("/a?b#c")
