"""Joining a machine by an invitation, for the commands that do: failures end the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.common.output import Exit, bad_setting, fail, failures_as_exits, not_written, unread

if TYPE_CHECKING:
    from gateway.machines.join import Wanted
    from gateway.settings import Settings


def join(invitation: Path, wanted: Wanted, as_json: bool) -> Settings:
    from gateway.hardening import private_files
    from gateway.machines import invitation as invitations
    from gateway.machines.join import join, strange
    from gateway.settings import BadSetting

    try:
        with failures_as_exits(as_json), private_files():
            read = invitations.read(invitation)
            if found := strange(wanted.data, read.machine):
                what = f"{wanted.data} holds {found} already / thư mục đã có tệp khác"
                fail(Exit.USAGE, "folder-taken", what, "Name an empty folder. / Chỉ một thư mục trống.", as_json)
            return join(read, wanted)
    except BadSetting as trouble:
        bad_setting(trouble, as_json)
    except FileNotFoundError as trouble:
        en, vi = unread(trouble)
        fail(Exit.USAGE, "no-file", f"{en} / {vi}", "Name the invitation. / Chỉ tệp lời mời.", as_json)
    except OSError as trouble:
        not_written(trouble.filename or wanted.data, trouble, as_json)
