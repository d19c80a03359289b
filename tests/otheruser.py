"""A command as another user of the operating system: in a forked child, since only root may become somebody else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import commandline

OWNER, OTHER, GROUP = 60_001, 60_002, 60_003


def as_user(uid: int, words: Sequence[str], *, groups: Sequence[int] = ()) -> tuple[int, Any, str]:
    """Exit code, the JSON object that it printed, and standard error."""

    def run() -> Any:
        ended = commandline.lgsp(*words)
        return ended.code, json.loads(ended.out) if ended.out.startswith("{") else ended.out, ended.err

    code, out, err = call(uid, run, groups=groups)
    return code, out, err


def call(uid: int, function: Callable[[], Any], *, groups: Sequence[int] = ()) -> Any:
    """What a function returns there, as JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(uid)
            os.setuid(uid)
            told = json.dumps(function())
        except BaseException as trouble:
            told = json.dumps([70, {"trouble": repr(trouble)}, ""])
        with os.fdopen(writing, "w") as out:
            out.write(told)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return json.loads(told)


def give(folder: Path, uid: int, gid: int | None = None) -> None:
    """The folder with all that lies in it."""
    for above, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(os.path.join(above, name), uid, uid if gid is None else gid, follow_symlinks=False)
