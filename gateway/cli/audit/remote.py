"""A log over HTTP: the gateway's address, whom TLS trusts, the identity of a system of the centre."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from contracts.base.words import Words
from gateway.cli.common import arguments
from gateway.cli.common.options import identity_folder
from gateway.cli.common.output import Exit, exit_of, fail, failed, unread

if TYPE_CHECKING:
    import ssl

    from gateway.audit.verify.remote import Remote
    from gateway.client import NoConnection
    from security.transparency.checkpoint import NoteKey


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Place:
    """Where a log is, as the options name it. Over HTTP `vkey` is None only with an identity, which has the log's
    key."""

    vkey: Annotated[
        str | None,
        typer.Option("--vkey", help="Trusted verifier key, or a file that holds it, from outside what is checked."),
    ] = None
    url: Annotated[
        str | None,
        typer.Option("--url", help="Over HTTP: the gateway's address. Needs --vkey, or --identity with its log.vkey."),
    ] = None
    identity: Annotated[
        Path | None,
        typer.Option(
            "--identity",
            help="Over HTTP: identity folder of a system of the centre, by which entries may be read; "
            "or its name in the instance's folder.",
        ),
    ] = None
    passphrase: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="File with the passphrase of that identity's private keys."),
    ] = None
    trust: Annotated[
        Path | None,
        typer.Option("--trust", help="Over HTTP: certificates that TLS trusts (PEM), if not those of this host."),
    ] = None

    @property
    def remote(self) -> bool:
        return self.url is not None or self.identity is not None

    def resolved(self, data: Path | None, as_json: bool) -> tuple[Path | None, Place]:
        """The identity as a folder. If it was named, `data` said only in which instance it is, and is None now."""
        if self.identity is None:
            return data, self
        folder = identity_folder(self.identity, data, as_json)
        return (data if folder is self.identity else None), replace(self, identity=folder)


@contextmanager
def remote(place: Place, as_json: bool) -> Iterator[tuple[Remote, NoteKey]]:
    """The gateway, and the key by which its log is judged."""
    from gateway.audit.verify.remote import Remote
    from gateway.client import Identity

    with remote_failures(as_json):
        secret = None if place.passphrase is None else place.passphrase.read_bytes().rstrip(b"\r\n")
        identity = None if place.identity is None else Identity.load(place.identity, passphrase=secret)
        base = (place.url or (identity.gateway if identity is not None else "")).rstrip("/")
        if urlsplit(base).scheme not in ("https", "http") or not urlsplit(base).netloc:
            _usage(
                "bad-url",
                f"{base} is no address of a gateway / không phải địa chỉ của cổng trao đổi dữ liệu",
                "Write https://HOST[:PORT]. / Viết như https://MÁY-CHỦ[:CỔNG].",
                as_json,
            )
        if identity is not None and base != identity.gateway:
            what = f"the identity is for {identity.gateway}, not for {base} / định danh thuộc địa chỉ khác"
            _usage(
                "bad-url",
                what,
                "Leave --url out, or name the other identity. / Bỏ --url, hoặc chọn định danh khác.",
                as_json,
            )
        if place.vkey is None and identity is None:
            what = "over HTTP the log's key has to come from elsewhere / qua HTTP cần khóa kiểm tra lấy từ nơi khác"
            _usage(
                "no-key",
                what,
                "Give --vkey, or --identity with its log.vkey. / Dùng --vkey, hoặc --identity có log.vkey.",
                as_json,
            )
        key = (
            arguments.log_key(place.vkey, as_json)
            if place.vkey is not None
            else identity.log_key
            if identity is not None
            else None
        )
        assert key is not None
        tls = identity.tls() if identity is not None else _tls(place.trust, as_json)
        with Remote(base, tls, identity) as found:
            yield found, key


@contextmanager
def remote_failures(as_json: bool) -> Iterator[None]:
    """What cannot be had over HTTP or from a folder, in words; a log that takes something back is a no."""
    import ssl

    from gateway.audit.verify.sources import NoSource, NotYet
    from gateway.client import BadIdentity, BadState, BadUsage, LogObjection, NoConnection, NotProven, Refused

    try:
        yield
    except LogObjection as no:
        failed(Exit.NO, no, as_json)
    except NotYet as trouble:
        then = "Is the keeper running? Try again in a second. / Thử lại sau một giây."
        fail(Exit.OURS, "no-checkpoint", f"{trouble} / nhật ký chưa có điểm kiểm tra", then, as_json)
    except NoSource as trouble:
        then = (
            "Name a whole export, or a running gateway."
            " / Chỉ một bản xuất đầy đủ, hoặc một cổng trao đổi dữ liệu đang chạy."
        )
        fail(Exit.USAGE, "no-log", f"{trouble} / không có nhật ký để kiểm tra", then, as_json)
    except NoConnection as trouble:
        failed(exit_of(trouble.code, trouble.branch), trouble, as_json, then=_mend(trouble))
    except (BadIdentity, BadUsage, BadState, NotProven, Refused) as trouble:
        failed(exit_of(trouble.code, trouble.branch, refused=isinstance(trouble, Refused)), trouble, as_json)
    except (ssl.SSLError, OSError) as trouble:
        en, vi = unread(trouble)
        fail(
            Exit.USAGE,
            "file",
            f"{en} / {vi}",
            "Mend or name another file. / Sửa hoặc chọn tệp khác.",
            as_json,
        )


def _tls(trust: Path | None, as_json: bool) -> ssl.SSLContext:
    import ssl

    if trust is None:
        return ssl.create_default_context()
    then = "Name a file of certificates in PEM, such as ca.crt. / Chỉ tệp chứng thư dạng PEM, ví dụ ca.crt."
    content = arguments.content(trust, then, as_json)
    try:
        return ssl.create_default_context(cadata=content.decode("ascii"))
    except (ValueError, ssl.SSLError):
        fail(
            Exit.USAGE,
            "bad-certificates",
            f"--trust: {trust} holds no certificates / không có chứng thư nào",
            then,
            as_json,
        )


def _mend(trouble: NoConnection) -> Words:
    if getattr(trouble.__cause__, "certificate_error", None) is None:
        return Words("Kiểm tra mạng và địa chỉ rồi chạy lại.", "Check the network and the address, then run it again.")
    return Words(
        "Chứng thư TLS không do tổ chức nào được tin cấp: chỉ tệp các cơ quan chứng thực (PEM)"
        " bằng --trust, hoặc định danh (có ca.crt) bằng --identity.",
        "The TLS certificate leads to no authority that is trusted here: name a file of authorities (PEM) with"
        " --trust, or an identity with its "
        "ca.crt by --identity.",
    )


def _usage(code: str, what: str, then: str, as_json: bool) -> NoReturn:
    fail(Exit.USAGE, code, what, then, as_json)
