"""The witnesses and the time-stamp authority of the settings, and their status.

Invariant: a wrong setting is reported by name before anything runs with it (`BadSetting`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.audit.log.checkpoints import NewestCheckpoint, PublicCheckpoint
from gateway.audit.witnessing.admission import STAMPS, WITNESSES, patience
from gateway.journal.schema import tables
from gateway.settings import BadSetting, Settings
from security.transparency.checkpoint import NoteError
from security.transparency.cosignature import CosignerKey


class Witness(NamedTuple):
    """A witness: its address, and the key of its cosignatures."""

    url: str
    key: CosignerKey


@dataclass(frozen=True, slots=True)
class WitnessStatus:
    """The status of one kind of witness (cosignatures, stamps). Times are Unix seconds.

    `size` entries are cosigned or stamped. `behind`: since when there are entries beyond. `told`: when that was noted.
    """

    size: int = 0
    at: float = 0.0
    behind: float | None = None
    told: float | None = None
    trouble: Mapping[str, str] | None = None

    def late(self, now: float, seconds: float) -> float | None:
        """Seconds beyond the allowed `seconds` that entries lack it; None if they are in time."""
        over = now - self.behind - seconds if self.behind is not None else 0.0
        return over if over > 0 else None


def witnesses_of(settings: Settings) -> tuple[Witness, ...]:
    """The witnesses of the settings; none if the policy is `off`."""
    if settings.witness_policy == "off":
        return ()
    where, text = _lines(settings)
    witnesses: list[Witness] = []
    for line in (each.strip() for each in text.replace(";", "\n").split("\n")):
        if not line or line.startswith("#"):
            continue
        url, _, vkey = line.partition(" ")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname or urlsplit(url).query:
            raise BadSetting(
                Words(
                    f"{where}: {url[:80]!r} không phải địa chỉ http hoặc https của bên chứng kiến; mỗi "
                    f"dòng là `địa-chỉ vkey`",
                    f"{where}: {url[:80]!r} is not the http or https address of a witness; a line is `address vkey`",
                )
            )
        try:
            witnesses.append(Witness(url.rstrip("/"), CosignerKey.from_text(vkey)))
        except NoteError as trouble:
            raise BadSetting(
                Words(
                    f"{where}: khóa của {url[:80]} không dùng được: {trouble}",
                    f"{where}: the key of {url[:80]} cannot be used: {trouble}",
                )
            ) from None
    keys = {each.key.raw for each in witnesses}
    if len(keys) < len(witnesses) or len({each.key.name for each in witnesses}) < len(witnesses):
        raise BadSetting(
            Words(
                f"{where}: hai bên chứng kiến trùng khóa hoặc trùng tên, nên chỉ là một",
                f"{where}: two witnesses share a key or a name: that is one witness",
            )
        )
    if not 1 <= settings.witness_quorum <= len(witnesses):
        raise BadSetting(
            Words(
                f"witness_quorum là {settings.witness_quorum}, mà {where} nêu {len(witnesses)} bên chứng kiến",
                f"witness_quorum is {settings.witness_quorum}, and {len(witnesses)} witnesses are named in {where}",
            )
        )
    if settings.witness_seconds <= 0:
        raise BadSetting(Words("witness_seconds phải lớn hơn 0", "witness_seconds must be more than 0"))
    return tuple(witnesses)


def anchors_of(settings: Settings) -> tuple[x509.Certificate, ...]:
    """The trust anchors of the time-stamp authority; none if the policy is `off`."""
    if settings.stamp_policy == "off":
        return ()
    if urlsplit(settings.stamp_url).scheme not in ("http", "https") or not urlsplit(settings.stamp_url).hostname:
        raise BadSetting(
            Words(
                f"stamp_url là {settings.stamp_url!r}; cần địa chỉ http hoặc https của cơ quan cấp dấu thời gian",
                f"stamp_url is {settings.stamp_url!r}; the http or https address of a time-stamp authority is expected",
            )
        )
    if settings.stamp_seconds <= 0:
        raise BadSetting(Words("stamp_seconds phải lớn hơn 0", "stamp_seconds must be more than 0"))
    return read_anchors(Path(settings.stamp_anchors), "stamp_anchors")


def read_anchors(path: Path, where: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as trouble:
        reason = getattr(trouble, "strerror", None) or trouble
        raise BadSetting(
            Words(
                f"{where}: {path} không có chứng thư nào đọc được ({reason})",
                f"{where}: {path} holds no certificates that can be read ({reason})",
            )
        ) from None


def policies(settings: Settings) -> dict[str, str]:
    """The policies of the kinds that are not off."""
    by_kind = {WITNESSES: str(settings.witness_policy), STAMPS: str(settings.stamp_policy)}
    return {kind: policy for kind, policy in by_kind.items() if policy != "off"}


def standing(connection: Connection, kind: str) -> WitnessStatus:
    table = tables.witness_status
    row = connection.execute(select(table).where(table.c.kind == kind)).mappings().first()
    if row is None:
        return WitnessStatus(trouble={})
    return WitnessStatus(int(row["size"]), float(row["at"]), row["behind"], row["told"], json.loads(row["trouble"]))


def witness_states(connection: Connection, settings: Settings, now: float) -> list[dict[str, Any]]:
    """The status of each kind that is not off, for pages and programs: names and numbers, no addresses."""
    listed: list[dict[str, Any]] = []
    for kind, policy in policies(settings).items():
        state = standing(connection, kind)
        late = state.late(now, patience(settings, kind))
        behind = round(now - state.behind, 1) if state.behind is not None else 0.0
        listed.append(
            {
                "kind": kind,
                "policy": policy,
                "ok": late is None,
                "size": state.size,
                "at": rfc3339(state.at) if state.at else None,
                "behind": behind,
                "trouble": dict(state.trouble or {}),
            }
        )
    return listed


def _lines(settings: Settings) -> tuple[str, str]:
    """The place of the witnesses' lines, for errors, and the lines."""
    setting = settings.witnesses.strip()
    if not setting or setting.startswith(("http://", "https://", "#")):
        return "witnesses", setting
    path = Path(setting)
    try:
        return str(path), path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        reason = getattr(trouble, "strerror", None) or trouble
        raise BadSetting(
            Words(f"witnesses: không đọc được {path} ({reason})", f"witnesses: {path} cannot be read ({reason})")
        ) from None


def public_checkpoint(
    settings: Settings, newest: NewestCheckpoint, clock: Callable[[], float]
) -> NewestCheckpoint | PublicCheckpoint:
    """What readers of the log are shown: the newest checkpoint, or with witnesses the newest cosigned one."""
    if settings.witness_policy == "off":
        return newest
    return PublicCheckpoint(newest, settings.cosigned_file, settings.witness_seconds, clock)
