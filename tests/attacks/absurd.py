"""Absurd answers of a gateway, and what a client's reader may make of them: its own error with words, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.sample_client import wscrypt, wssec
from gateway.sample_client.errors import ClientError

DEEP: Final = 100_000
JSONS: Final = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"{}",
    b"\xff",
    b"\xef\xbb\xbf{}",
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"1" * 5_000,
    b"1e999999999999999999999",
    b"NaN",
    b'"\\ud800"',
    b'{"access_token":1}',
    b'{"access_token":[],"expires_in":1}',
    b'{"access_token":"a\\r\\nb","expires_in":1}',
    b'{"access_token":"\xe1\xba\xa5","expires_in":1}',
    b'{"access_token":"","expires_in":1}',
    b'{"access_token":"a","expires_in":' + b"9" * 400 + b"}",
    b'{"access_token":"a","expires_in":NaN}',
    b'{"access_token":"a","expires_in":-1}',
    b'{"access_token":"a","expires_in":null}',
    b'{"code":1,"detail":[],"next":{}}',
    b'{"proof":1}',
    b'{"proof":[1]}',
    b'{"proof":["\xe1\xba\xa5"]}',
    b'{"checkpoint":1,"entries":[]}',
    b'{"checkpoint":"\\ud800\\n\\n","entries":[]}',
]
TEXTS: Final = [
    "",
    " ",
    ":",
    "::",
    ":a:",
    ":ấ:",
    "\x00",
    "ấ",
    "é" * 300,
    "²",
    "(" * 5_000,
    '"',
    '"' * 5_000,
    "sig1=",
    "sig1=()",
    "sig1=(;",
    "sig1=:" + "A" * 9_999 + ":",
    "a=1;b=²",
    "sig1=" + "9" * 5_000,
    "sig1=(" + '"a" ' * 2_000 + ")",
    "-",
    "?2",
    "*" * 9_999,
    ",",
    "a,a",
    "a=?1, a=?0",
    'sig1=("@status" "content-digest");created=1;keyid="x";tag="lgsp-answer"',
    "\udcff",
    "sig1=१",
    "x" * 100_000,
]
SOAPS: Final = [
    b"",
    b"<",
    b"x",
    b"\xff\xfe",
    b"<a/>",
    b"<!DOCTYPE a><a/>",
    b"<a>" * 300,
    b"<a>" * DEEP,
    b"\x00" * 9,
    b'<?xml version="1.0" encoding="x"?><a/>',
    b"<?x?><a/>",
    *(
        f'<s:Envelope xmlns:s="{space}">{inner}</s:Envelope>'.encode()
        for space in (wssec.SOAP, wssec.SOAP12, "urn:x", "x")
        for inner in (
            "",
            "<s:Body/>",
            "<s:Header/><s:Body/>",
            "<s:Body/><s:Header/>",
            "<s:Body><s:Fault/></s:Body>",
            "<s:Body><s:Fault><faultcode/></s:Fault></s:Body>",
            "x",
            "<!-- x -->",
            f'<s:Header><Security xmlns="{wssec.WSSE}"/></s:Header><s:Body/>',
            f'<s:Header><Signature xmlns="{wssec.DS}"/></s:Header><s:Body xmlns="relative"/>',
            f'<s:Header/><s:Body><EncryptedData xmlns="{wscrypt.XENC}"/></s:Body>',
            f'<s:Header><EncryptedKey xmlns="{wscrypt.XENC}"/></s:Header><s:Body><EncryptedData '
            f'xmlns="{wscrypt.XENC}"/></s:Body>',
        )
    ),
]


def only_its_own(act: Callable[[], object], told: str) -> bool:
    """Whether it was refused; anything but the client's own error with words is a hole."""
    try:
        act()
    except ClientError as refused:
        assert str(refused).strip(), told
        return True
    except Exception as bare:
        raise AssertionError(f"{type(bare).__name__}: {str(bare)[:200]}; {told}") from bare
    return False
