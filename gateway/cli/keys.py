"""`lgsp keys`, `lgsp reload`: the gateway's own keys, shown, replaced, protected."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.actor import actor
from gateway.cli.common.labels import both
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, failed
from gateway.cli.common.persons import check_files

if TYPE_CHECKING:
    from gateway.keys.overview import OwnKey
    from gateway.settings import Settings

top = typer.Typer()
commands = typer.Typer(no_args_is_help=True, help="The gateway's own keys: show, replace, protect at rest.")
_AT_START: Final = "It takes up keys and settings when it starts. / Khi khởi động nó sẽ tự nhận."
_TOLD_SECONDS: Final = 20.0  # between two words to a person who waits
_OTHERS_SECONDS: Final = 30.0
_REPLACED: Final = (
    "Where the unit or LGSP_SECRET_FILE names the old file, put the new one there before the start. Older backups, and"
    " a root.key that was not here, open with the old secret alone: keep it apart for them. / Nếu dịch vụ hoặc"
    " LGSP_SECRET_FILE chỉ tệp cũ, hãy đặt tệp mới vào đó trước khi khởi động. Bản sao lưu cũ, và root.key không có ở"
    " đây, chỉ mở được bằng bí mật cũ: giữ riêng bí mật ấy."
)
_HELD: Final = {True: "protected / đã mã hóa", False: "in the clear / không mã hóa"}


@commands.command("show")
def keys_show(data: Data = None, as_json: AsJson = False) -> None:
    """The keys with their generations, and whether they are protected at rest."""
    from gateway.keys import overview
    from security.grants.windows import civil

    generations = [_described(each) for each in overview.own_keys(load_instance(data, as_json))]
    lines = [
        f"{each['name']:<8} {each['id']:<22} {both('in use' if each['current'] else 'replaced'):<20} until"
        f" / đến {civil(each['valid_until'])[:10]}  "
        f"{'private key / khóa bí mật: ' + (_HELD[each['protected']] if each['key'] else 'destroyed / đã hủy')}"
        for each in generations
    ]
    emit({"ok": True, "keys": generations}, as_json, "\n".join(lines))


@commands.command("rotate")
def keys_rotate(
    names: list[str],
    data: Data = None,
    as_json: AsJson = False,
    withdraw: Annotated[
        bool,
        typer.Option("--withdraw", help="The old key is in wrong hands: nothing that it signed is believed any more."),
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", help="`sign` only: the key of this label in the PKCS#11 token, made there if it is not."
        ),
    ] = None,
    no_reload: Annotated[
        bool, typer.Option("--no-reload", help="Leave running processes with the old keys until `lgsp reload`.")
    ] = False,
) -> None:
    """Replace keys (server, client, sign, …) without downtime; old certificates stay published until they expire."""
    from gateway.keys import keyring as keys
    from gateway.keys.keyring import Keyring

    settings = load_instance(data, as_json)
    reload_too = not no_reload
    known = Keyring(settings).names
    unknown = sorted(set(names) - set(known))
    if unknown or not names:
        what = f"there is no key {', '.join(unknown)}" if unknown else "no key is named"
        fail(
            Exit.USAGE,
            "unknown-key",
            f"{what} / không có khóa này",
            f"The keys are / Các khóa: {', '.join(known)}",
            as_json,
        )
    if token is not None and list(names) != ["sign"]:
        what = "only the key `sign` can lie in a token / chỉ khóa `sign` đặt được trong thiết bị"
        fail(
            Exit.USAGE,
            "not-in-token",
            what,
            "Name `sign` alone with --token. / Chỉ nêu `sign` khi dùng --token.",
            as_json,
        )
    if withdraw and not reload_too and is_running(settings):
        what = (
            "a key cannot be withdrawn while processes go on with it / không thể thu hồi khóa khi tiến trình còn dùng"
        )
        fail(Exit.USAGE, "withdraw-later", what, "Leave out --no-reload. / Bỏ --no-reload.", as_json)
    keyring, now = Keyring(settings), time.time()
    with _alone_with_keys(settings):
        replacements = [keys.next_generation(keyring, name, now, token) for name in dict.fromkeys(names)]
        _log(settings, {"rotated": [each.generation.key_id for each in replacements], "withdrawn": withdraw}, now)
        for each in replacements:
            each.put()
        running = reload_too and is_running(settings)
        late = _others_without(settings) if running else []
        if running:
            _reload(settings, as_json)
        # While processes that hold the old keys go on, these stay: a door that has to start again may need its pair.
        gone = [] if not running and is_running(settings) else [
            gone for each in replacements for gone in keys.retire(keyring, each.generation.name, now, at_once=withdraw)
        ]  # fmt: skip
    rotated = [each.generation.key_id for each in replacements]
    text = f"in use / đang dùng: {', '.join(rotated)}" + (f"\ndestroyed / đã hủy: {', '.join(gone)}" if gone else "")
    if not running:
        text += "\nA running instance takes them up with `lgsp reload`. / Chạy `lgsp reload` để áp dụng."
    if late:
        text += f"\nMachines without them yet: / Máy chưa nhận: {', '.join(late)} (lgsp machine list)"
    emit({"ok": True, "rotated": rotated, "destroyed": gone, "reloaded": running, "late": late}, as_json, text)


@commands.command("protect")
def keys_protect(
    data: Data = None,
    as_json: AsJson = False,
    new_secret: Annotated[
        Path | None,
        typer.Option(
            "--new-secret",
            help="File outside the data folder for the first secret, or for a new one; made if it is not there.",
        ),
    ] = None,
) -> None:
    """Encrypt all private keys and secrets of a stopped instance, so that a copy of its folder opens nothing; or
    encrypt them anew, by a new secret."""
    from gateway.settings.running import standing_still

    # Encrypt every private key and raw secret of the instance. What was cut short goes on when it is called again.
    settings = load_instance(data, as_json)
    if new_secret is None and not settings.secret_file:
        what = "a secret is needed, with --new-secret FILE / cần một tệp bí mật, nêu bằng --new-secret"
        then = "docs/operating.md tells how. / Xem cách làm trong docs/vi/operating.md."
        fail(Exit.USAGE, "which-secret", what, then, as_json)
    with standing_still(settings.data) as still:
        if not still:
            what = "the instance is running, and its processes would no longer find their keys / phiên bản đang chạy"
            fail(Exit.NO, "running", what, "Stop it first. / Hãy dừng nó trước.", as_json)
        _protect(settings, new_secret, as_json)


def _protect(settings: Settings, new_secret: Path | None, as_json: bool) -> NoReturn:
    from gateway.doctor.files import key_files
    from gateway.keys.key_encryption import PLAIN, AtRest
    from gateway.keys.protecting import protect
    from gateway.settings import CREDENTIAL
    from gateway.settings.saving import change
    from gateway.vault.copies import copied

    before, place = AtRest.of(settings), Path(settings.secret_file)
    if new_secret is not None:
        place = _secret_at(settings, new_secret, as_json)
    at_rest = before if new_secret is None else AtRest.from_file(place)
    replaced = before is not PLAIN and at_rest != before
    if new_secret is not None and at_rest == before and place != settings.secret_path:
        what = (
            f"{place} has the secret of now; nothing was replaced / {place} chứa chính bí mật đang dùng; chưa thay gì"
        )
        fail(
            Exit.USAGE, "same-secret", what, "Name a new file, which is made. / Nêu một tệp mới, sẽ được tạo.", as_json
        )
    if before is PLAIN:
        change(settings.data, secret_file=str(place))
    files = key_files(settings)
    if settings.vault_copies is not None and replaced:
        files += [path for path, _ in copied(settings.vault_copies)]
    with _alone_with_keys(settings):
        done = [_name(path, settings) for path in protect(files, at_rest, before if replaced else PLAIN)]
        if done or replaced:
            _log(settings, {"protected": done, **({"secret": "replaced"} if replaced else {})}, time.time())
        if replaced and not settings.secret_file.startswith(CREDENTIAL):
            change(settings.data, secret_file=str(place))
    text = "\n".join(
        [
            *done,
            f"{len(done)} files protected; without {place} nothing opens them: keep a copy of it apart"
            f" / đã mã hóa {len(done)} tệp; thiếu {place} thì không mở được: giữ một bản ở nơi khác",
            *([_REPLACED] if replaced else []),
            "What the disk held before may still be found on it: replace the keys (`lgsp keys rotate`), or begin with a"
            " new disk. / Bản cũ có thể còn trên đĩa: thay khóa (`lgsp keys rotate`), hoặc dùng đĩa mới.",
        ]
    )
    emit({"ok": True, "protected": done, "secret_file": str(place), "replaced": replaced}, as_json, text)


def _secret_at(settings: Settings, new_secret: Path, as_json: bool) -> Path:
    """The file of the new secret, made if it is not there, outside of what is copied with the keys."""
    import secrets

    from gateway.durable import sync_folder, write_new

    place = Path(os.path.abspath(new_secret))  # without `..`, since it is written into the settings
    copies = settings.vault_copies
    if settings.holds(place) or copies is not None and place.resolve().is_relative_to(copies.resolve()):
        fail(
            Exit.USAGE,
            "secret-inside",
            f"{place} lies in the data folder, or in vault_backup / nằm trong thư mục dữ liệu hoặc vault_backup",
            "Keep the secret elsewhere. / Để tệp bí mật nơi khác.",
            as_json,
        )
    if not place.exists():
        write_new(place, secrets.token_urlsafe(48).encode("ascii") + b"\n")
        sync_folder(place.parent)
    return place


def _name(path: Path, settings: Settings) -> str:
    return str(path.relative_to(settings.data) if path.is_relative_to(settings.data) else path)


@top.command()
def reload(data: Data = None, as_json: AsJson = False) -> None:
    """Replace the processes of a running instance one by one, with the keys and settings of now; nobody is turned
    away."""
    from gateway.processes.sockets import check_desk
    from gateway.processes.supervised import NotStarted

    settings = load_instance(data, as_json)
    if not is_running(settings):
        what = f"no instance runs in {settings.data} / không có phiên bản nào đang chạy tại {settings.data}"
        fail(Exit.NO, "not-running", what, _AT_START, as_json)
    check_files(settings, as_json)
    try:
        check_desk(settings)
    except NotStarted as trouble:
        failed(Exit.USAGE, trouble, as_json)
    began = time.monotonic()
    kept = _reload(settings, as_json)
    seconds = time.monotonic() - began
    text = f"all processes are new / đã thay mọi tiến trình, {seconds:.1f} s"
    if kept:
        names = ", ".join(kept)
        text += f"\nuntil a restart these keep their value / chỉ đổi khi khởi động lại: {names}"
    emit({"ok": not kept, "seconds": round(seconds, 1), "kept": kept}, as_json, text)


def _described(each: OwnKey) -> dict[str, Any]:
    from gateway.keys.key_encryption import is_protected

    return {
        "id": each.generation.key_id,
        "name": each.generation.name,
        "current": each.current,
        "valid_from": rfc3339(each.valid_from),
        "valid_until": rfc3339(each.valid_until),
        "key": each.there,
        "protected": each.there and is_protected(each.generation.key.read_bytes()),
        "certificate": str(each.generation.certificate),
    }


def is_running(settings: Settings) -> bool:
    """Whether an `up` holds the folder's lock."""
    from gateway.settings import running

    return running.is_running(settings.data)


def _others_without(settings: Settings) -> list[str]:
    """Let the other machines have the new keys before they are used here. Those that do not take them in time."""
    from gateway.journal.database import open_engine
    from gateway.machines import keeping

    engine = open_engine(settings.database_url)
    try:
        return keeping.wait_for_others(settings, engine, time.time, _OTHERS_SECONDS)
    finally:
        engine.dispose()


def _reload(settings: Settings, as_json: bool) -> list[str]:
    """Have the supervisor replace its processes, and wait until it has. The settings that wait for a restart."""
    from gateway.processes.supervisor import PID, reload_seconds

    before = _reloaded(settings)["count"]
    try:
        supervisor = int((settings.run / PID).read_text("ascii"))
    except FileNotFoundError:
        what = "the instance is still starting, or stopping / phiên bản còn đang khởi động, hoặc đang dừng"
        fail(Exit.NO, "not-running", what, _AT_START, as_json)
    os.kill(supervisor, signal.SIGHUP)
    began = told = time.monotonic()
    while (now := _reloaded(settings))["count"] == before:
        waited = time.monotonic() - began
        if waited > reload_seconds(settings) or not is_running(settings):
            what = "the instance did not finish replacing its processes / phiên bản chưa thay xong các tiến trình"
            fail(Exit.OURS, "not-reloaded", what, "Its own output says why. / Xem nhật ký của tiến trình.", as_json)
        if not as_json and time.monotonic() - told > _TOLD_SECONDS:
            told = time.monotonic()
            typer.echo(f"processes are being replaced / đang thay các tiến trình: {waited:.0f} s", err=True)
        time.sleep(0.1)
    if now["trouble"]:
        what_next = (
            "The old processes go on with the old keys; see the instance's output. / Các tiến trình cũ vẫn chạy."
        )
        fail(Exit.OURS, "not-reloaded", f"{now['trouble']} / chưa thay được các tiến trình", what_next, as_json)
    return list(now.get("kept", ()))


def _reloaded(settings: Settings) -> dict[str, Any]:
    from gateway.processes.supervisor import RELOADED

    try:
        state: dict[str, Any] = json.loads((settings.run / RELOADED).read_text("utf-8"))
    except FileNotFoundError:
        return {"count": 0, "trouble": ""}
    return state


def _log(settings: Settings, facts: dict[str, Any], now: float) -> None:
    from gateway.journal.append import append
    from gateway.journal.database import open_engine, writing
    from gateway.transfer import entries

    engine = open_engine(settings.database_url)
    try:
        with writing(engine) as connection:
            append(connection, [entries.note("keys", facts, now, actor=actor())])
    finally:
        engine.dispose()


@contextmanager
def _alone_with_keys(settings: Settings) -> Iterator[None]:
    """One change of the keys at a time."""
    import fcntl

    folder = os.open(settings.keys, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
