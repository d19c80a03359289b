"""The words that start a process of an instance, made from the table of processes. The supervisor gives them.

    NAME [WHICH] --data FOLDER [--settings DESCRIPTOR] [--socket NAME=DESCRIPTOR …] [--lifeline DESCRIPTOR]
        [--ready DESCRIPTOR]

Invariant: nothing of the commands is loaded here. A door would hold it for as long as it lives.
"""

from __future__ import annotations

import gc
import getopt
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway import settings
from gateway.cli.common.output import Exit, bad_setting, fail
from gateway.processes.table import PROCESSES, Inherited
from gateway.settings.handing import taken

_KINDS: Final = {each.name: each for each in PROCESSES}
_OPTIONS: Final = ("data=", "settings=", "socket=", "lifeline=", "ready=")


def run(words: Sequence[str]) -> bool:
    """Run the process that these words name, to its end. False if they name none."""
    kind = _KINDS.get(words[0]) if words else None
    if kind is None:
        return False
    try:
        given, names = getopt.gnu_getopt(list(words[1:]), "", _OPTIONS)
        sockets = dict(text.split("=", 1) for option, text in given if option == "--socket")
        options = dict(given)
        numbers = {name: int(number) for name, number in sockets.items()}
        handed, lifeline, ready = (
            int(options[name]) if name in options else None for name in ("--settings", "--lifeline", "--ready")
        )
    except (getopt.GetoptError, ValueError) as wrong:
        fail(
            Exit.USAGE,
            "usage",
            f"{words[0]}: {wrong} / lệnh chưa đúng cú pháp",
            "The supervisor starts it; start an instance with `lgsp up`. / Tiến trình này do `lgsp up` khởi động.",
            as_json=False,
        )
    name = names[0] if names else ""
    gc.disable()  # what is loaded stays: looking through it meanwhile finds nothing
    main = kind.load()
    gc.enable()
    try:
        main(_settings(options.get("--data"), handed), Inherited(numbers, lifeline=lifeline, ready=ready, name=name))
    except settings.BadSetting as trouble:
        bad_setting(trouble, as_json=False)
    return True


def _settings(data: str | None, handed: int | None) -> settings.Settings:
    if handed is not None:
        return taken(handed)
    return settings.load(None if data is None else Path(data))
