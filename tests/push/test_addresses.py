"""Where a webhook may go: by the URL, and by the addresses that its host leads to."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from adapters.opening import Forbidden, Peers
from contracts.base.errors import Failure
from gateway.push.addresses import Networks

NOWHERE = Networks("")
LOOPBACK = Networks("127.0.0.0/8 ::1/128 10.20.0.0/16")

REFUSED = (
    "http://receiver.example/hook",  # in the clear
    "ftp://receiver.example/",
    "file:///etc/passwd",
    "https://user:secret@receiver.example/",
    "https://receiver.example@127.0.0.1/",
    "https://receiver.example/#fragment",
    "https://receiver.example\\@127.0.0.1/",
    "https://receiver.example /",
    "https://receiver.example/\r\nX: y",
    "https://máy.example/",
    "https:///hook",
    "https://receiver.example:0/",
    "https://receiver.example:99999/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.1./",
    "https://localhost/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://[fec0::1]/",
    "https://[::8.8.8.8]/",
    "https://[2001:db8::1]/",
    "https://[2001:20::1]/",
    "https://[3fff::1]/",
    "https://[5f00::1]/",
    "https://[100::1]/",
    "https://[64:ff9b:1::1]/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://203.0.113.1/",
    "https://240.0.0.1/",
    "https://[::1/",
    "https://" + "a" * 2000,
)
TAKEN = (
    "https://receiver.example/hook",
    "https://receiver.example:8443/hook?tenant=7",
    "https://8.8.8.8/hook",
    "https://[2606:4700:4700::1111]/hook",
    "https://[::ffff:8.8.8.8]/hook",
)


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
def test_a_url_that_leads_inwards_or_means_several_things_is_refused(url: str) -> None:
    with pytest.raises(Failure, match="subscription.url"):
        NOWHERE.check_url(url)


@pytest.mark.parametrize("url", TAKEN)
def test_a_public_url_is_taken(url: str) -> None:
    NOWHERE.check_url(url)


def test_the_instance_allows_networks_and_with_them_plain_http_on_this_machine() -> None:
    for url in (
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.20.3.4/",
        "http://127.0.0.1:80/",
        "http://localhost/",
    ):
        LOOPBACK.check_url(url)
    for url in ("https://10.21.0.1/", "http://10.20.3.4/", "http://receiver.example/"):
        with pytest.raises(Failure, match="subscription.url"):
            LOOPBACK.check_url(url)
    with pytest.raises(ValueError, match="10.0.0.1/8"):
        Networks("10.0.0.1/8")


def peers(*addresses: str) -> Peers:
    async def lookup(_host: str, port: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    nowhere = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return Peers(nowhere, reachable=lambda system, address: NOWHERE.allow(address), lookup=lookup)


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("::ffff:169.254.169.254",), ("fe80::1%eth0",)]
)
async def test_a_name_that_leads_inwards_is_not_connected_to(addresses: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden):
        await peers(*addresses).addresses("one", "receiver.example", 443)


async def test_the_checked_addresses_are_the_ones_that_are_connected_to() -> None:
    (only,) = await peers("8.8.8.8").addresses("one", "receiver.example", 443)
    assert (only["host"], only["hostname"], only["port"]) == ("8.8.8.8", "receiver.example", 443)
    with pytest.raises(OSError, match="not known"):
        await peers().addresses("one", "receiver.example", 443)
