"""`lgsp setup`, `lgsp enrol`: a production instance from five answers, and a system from its certificate requests."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from gateway.cli.common.actor import user
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, bad_setting, emit, fail, failures_as_exits, not_written

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.setup.founding import Made

top = typer.Typer()
_SAME_DISK: Final = (
    " — cất ngoại tuyến; đang nằm trên hệ tệp của phiên bản: vật lưu giữ đã được gắn chưa?"
    " / keep it off line; it is on the file system of the instance: is the medium mounted?"
)
_NOBODY_OPERATES: Final = (
    "  Chưa có người vận hành: cán bộ nộp tài liệu thì không ký được quyền trong đó. Thêm `people` trước tiên"
    " (docs/vi/operating.md) / Nobody operates: an officer who applies a document cannot sign its grants. Add `people`"
    " first (docs/operating.md)"
)
_COPY: Final = "giữ một bản ở nơi khác / keep a copy elsewhere"
_PERSON: Final = "--as PERSON --key FILE"  # a production instance asks who acts
_USES: Final = ("tls", "sign", "encrypt")


@top.command()
def setup(
    answers: Annotated[
        Path | None, typer.Argument(help="File with the answers (YAML); without it they are asked for.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a production instance: keys, database, first officers, a link for each to sign in. No private key of a
    person is made. Then start it with `lgsp up`."""
    from gateway.cli import setup_questions
    from gateway.sandbox.instance import FolderTaken
    from gateway.settings import BadSetting, default_data
    from gateway.setup import founding
    from gateway.setup.answers import from_file

    folder = (data or default_data()).absolute()
    if answers is None and (as_json or not sys.stdin.isatty()):
        what = "questions need a terminal / câu hỏi cần một cửa sổ lệnh"
        then = "Name a file with the answers; docs/operating.md shows one. / Chỉ tệp trả lời (docs/vi/operating.md)."
        fail(Exit.USAGE, "no-answers", what, then, as_json)
    typed: dict[str, Any] = {}
    with setup_questions.kept(typed) if answers is None else nullcontext():
        try:
            given = setup_questions.asked(typed) if answers is None else from_file(answers)
            with failures_as_exits(as_json):
                first = founding.document_of(given)
                settings = founding.settings_of(given, first, folder, os.environ)
                made = founding.make(settings, given, first, user(), time.time())
        except BadSetting as trouble:
            bad_setting(trouble, as_json, answers=True)
        except FolderTaken as trouble:
            what = f"{trouble} is there already / thư mục đã có tệp khác"
            fail(Exit.USAGE, "folder-taken", what, "Name an empty folder. / Chỉ một thư mục trống.", as_json)
        except OSError as trouble:
            not_written(trouble.filename or folder, trouble, as_json)
    left = _left(made.settings)
    there = "" if data is None else f" --data {shlex.quote(str(folder))}"
    emit({**_facts(made), "left": left}, as_json, _told(made, left, there))


@top.command()
def enrol(
    systems: Annotated[list[str], typer.Argument(help="Registered systems.")],
    requests: Annotated[
        Path,
        typer.Option(
            "--requests",
            help="Folder with one folder for each system by its id, with tls.csr, sign.csr, encrypt.csr; "
            "for one system it may have these files itself.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where a folder for each system is written.")] = Path("enrolled"),
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Answer the certificate requests of systems, all or none, and write for each what it is to be handed: its
    certificates, whom to trust, the gateway's keys and address."""
    from gateway.cli.registry.identities import note_keys
    from gateway.journal.database import open_engine
    from gateway.keys import handout
    from gateway.keys.authority import EmbeddedAuthority
    from gateway.registry.changes import enrolment
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
    alone = any((requests / f"{use}.csr").is_file() for use in _USES) and len(systems) == 1
    asked = {each: _requests(requests if alone else requests / each, as_json) for each in systems}
    folders = {each: _folder(out / each, as_json) for each in asked}
    own, told, now = EmbeddedAuthority(settings), handout.files(settings), time.time()
    result: dict[str, Any] = {}
    lines, changes = [], []
    engine, seal = open_engine(settings.database_url), Seal.of(settings)
    with failures_as_exits(as_json), _all_or_none(folders), changing(engine, seal) as act:
        for system, by_use in asked.items():
            done = {
                use: enrolment.by_request(
                    act.connection,
                    own.issuer,
                    enrolment.Wanted(system, use),  # type: ignore[arg-type] # one of _USES
                    content,
                    now,
                )
                for use, content in by_use.items()
            }
            changes += [change for each in done.values() for change in each.changes]
            ids = {use: each.key_id for use, each in done.items()}
            about = handout.about(settings) | {f"{use}_key_id": key_id for use, key_id in ids.items()}
            files = {
                **told,
                **{f"{use}.crt": each.certificate for use, each in done.items()},
                handout.ABOUT: json.dumps(about, indent=2).encode() + b"\n",
            }
            # Written before it is enrolled for good: a key whose certificate nobody has could never be used.
            for name, content in files.items():
                (folders[system] / name).write_bytes(content)
            result[system] = {
                "keys": ids,
                "folder": str(folders[system]),
                "unnamed_host": next((each.unnamed for each in done.values() if each.unnamed), None),
            }
            lines.append(f"{system}: {', '.join(ids.values())} → {folders[system]}")
        note_keys(act, changes, now)
    lines.append(
        "Hand each folder to its system by a way that both of you trust: lgsp client install IDENTITY --trust FOLDER"
        " / Giao từng thư mục cho hệ thống qua kênh mà hai bên tin cậy."
    )
    emit({"ok": True, "systems": result}, as_json, "\n".join(lines))


def _requests(folder: Path, as_json: bool) -> dict[str, bytes]:
    from gateway.cli.common.arguments import certificate_request

    files = {use: folder / f"{use}.csr" for use in _USES}
    found = {use: certificate_request(file, as_json) for use, file in files.items() if file.is_file()}
    if not found:
        what = f"{folder} holds no certificate request / {folder} không có yêu cầu chứng thư nào"
        then = "Put tls.csr, sign.csr, encrypt.csr there (`lgsp client keygen`). / Đặt các tệp .csr vào đó."
        fail(Exit.USAGE, "no-requests", what, then, as_json)
    return found


@contextmanager
def _all_or_none(folders: Mapping[str, Path]) -> Iterator[None]:
    """Nobody shall hand out a folder whose certificates were not enrolled."""
    try:
        yield
    except BaseException:
        for folder in folders.values():
            rmtree(folder, ignore_errors=True)
        raise


def _folder(folder: Path, as_json: bool) -> Path:
    from gateway.cli.common.arguments import empty_folder

    empty_folder(folder, as_json).mkdir(parents=True, exist_ok=True)
    return folder


def _left(settings: Settings) -> list[str]:
    """What the doctor finds grave, but that nothing runs yet."""
    from gateway.doctor import examine

    found = examine(settings, time.time)
    return [each.kind.code for each in found if each.kind.grave and each.kind.code != "instance.not-running"]


def _facts(made: Made) -> dict[str, Any]:
    return {
        "ok": True,
        "data": str(made.settings.data),
        "exchange": made.settings.base,
        "desk": made.settings.desk_named,
        "secret": None if made.secret is None else str(made.secret),
        "secret_made": made.secret_made,
        "root_thumbprint": made.root_thumbprint,
        "root_key": str(made.root_key),
        "was_made": made.unlike is not None,
        "not_compared": list(made.unlike or ()),
        "people": [
            {"id": each.id, "role": each.role, "thumbprint": each.thumbprint, "link": each.link} for each in made.people
        ],
    }


def _told(made: Made, left: list[str], there: str) -> str:
    """`there`: the option of the data folder, for the next commands."""
    from gateway.cli.run import bound_elsewhere

    links = [f"  {each.id:<24} {each.link}" for each in made.people if each.link]
    online = made.root_key.parent == made.settings.authority
    lines = [
        f"Đã tạo phiên bản tại {made.settings.data} / The instance is made in {made.settings.data}"
        if made.unlike is None
        else f"Phiên bản đã có tại {made.settings.data} / The instance was made before in {made.settings.data}",
        *([f"  Chưa so các câu trả lời / answers not looked at: {', '.join(made.unlike)}"] if made.unlike else []),
        "",
        "Nghi thức khóa: cùng so và ký tên / Key ceremony: compare together, and sign on paper",
        f"  root  {made.root_thumbprint}",
        *(f"  {each.id:<24} {each.thumbprint}" for each in made.people),
        f"  Khóa gốc / the root's key: {made.root_key}"
        + (
            " — chuyển sang hai vật lưu giữ ngoại tuyến rồi xóa ở đây / move it to two media off line, delete it here"
            if online
            else _SAME_DISK
            if made.root_key.exists() and made.root_key.stat().st_dev == made.settings.data.stat().st_dev
            else " — cất ngoại tuyến / keep it off line"
            if made.root_key.exists()
            else " — không còn ở đây / is not here any more"
        ),
        *([] if _operated(made) else [_NOBODY_OPERATES]),
        *([f"  Bí mật của các khóa / the keys' secret: {made.secret} — {_COPY}"] if made.secret is not None else []),
        "",
        f"Đăng nhập lần đầu / First sign-in{', trong 15 phút / within 15 minutes' if links else ''}",
        *links,
        f"  ({'hết hạn thì / later' if links else 'liên kết / a link'}: lgsp console user link ID {_PERSON}{there})",
        *_reached(made.settings),
        *(["", *elsewhere] if (elsewhere := bound_elsewhere(made.settings)) else []),
        "",
        f"Chẩn đoán / doctor: {', '.join(left) or 'không có gì nghiêm trọng / nothing grave'}",
        f"Tiếp theo / next: lgsp up{there} · lgsp enrol SYSTEM … --requests DIR {_PERSON}{there} · lgsp doctor{there}",
    ]
    return "\n".join(lines)


def _operated(made: Made) -> bool:
    """Whether two officers are left to sign what somebody else applies."""
    roles = [each.role for each in made.people]
    return "operator" in roles or roles.count("officer") > 2


def _reached(settings: Settings) -> list[str]:
    """How people on other machines come to pages that this machine alone serves."""
    from gateway.doors.http.desk_transport import is_local

    if settings.desk_base or not is_local(settings.desk_host):
        return []
    host, port = urlsplit(settings.base).hostname, settings.desk_port
    return [
        "  Các trang chỉ mở trên máy này; từ máy khác / these pages are on this machine alone; from another one:"
        f" ssh -L {port}:localhost:{port} {host}",
        "  (để mở cho máy khác / to serve others: desk_base, docs/operating.md#the-peoples-listener)",
    ]
