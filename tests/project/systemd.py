"""A real systemd in namespaces of its own: the files of this machine below, what it changes in memory above, no network
but the loopback. It ends with its first process, and leaves nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.load import until

SYSTEMD = Path("/lib/systemd/systemd")
_PATH = "/mnt/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
_ROOM = "4g"
_UNSHARE = ("unshare", "--pid", "--fork", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--kill-child")
# Units of this machine are not wanted. Credentials reach a service through mounts that propagate.
_MADE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size=$ROOM tmpfs "$PLACE"
mkdir "$PLACE/above" "$PLACE/work" "$PLACE/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$PLACE/above,workdir=$PLACE/work" "$PLACE/root"
ip link set lo up
cd "$PLACE/root"
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
mount --rbind "$SHARED" mnt
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
rm -rf etc/systemd/system/*.wants etc/lgsp var/lib/lgsp var/backups/lgsp opt/lgsp
mkdir -p before
pivot_root . before
umount -l /before
mount --make-rshared /
"""
_BOOT = """
exec env -i container=lgsp PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=0
"""


class Systemd:
    """`/mnt` is `shared`; what lies in its `bin` is found first."""

    def __init__(self, pid: int, shared: Path) -> None:
        self.pid, self.shared = pid, shared

    def done(self, command: str) -> str:
        """What a command printed that must succeed."""
        ended = self.run(command)
        assert ended.returncode == 0, (command, ended)
        return ended.stdout

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """As root in /root, by a shell."""
        line = ["nsenter", "-t", str(self.pid), "-a", "env", "-i", "HOME=/root", "LANG=C.UTF-8", f"PATH={_PATH}"]
        line += ["sh", "-c", f"cd /root && {command}"]
        return subprocess.run(line, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)

    def shown(self, unit: str, what: str) -> str:
        return self.done(f"systemctl show --property={what} --value {unit}").strip()


def why_none() -> str:
    """Why none can run here; empty if one can."""
    if os.geteuid() != 0:
        return "only root can make its namespaces"
    missing = [each for each in ("unshare", "nsenter", "ip", "pivot_root") if shutil.which(each) is None]
    if missing or not SYSTEMD.exists() or shutil.which("systemd-run") is None:
        return f"missing: {', '.join(missing) or 'systemd'}"
    if _cgroups() is None:
        return "no file system of control groups (cgroup2) is mounted"
    with TemporaryDirectory() as folder:
        environment = _environment(Path(folder), Path(folder))
        tried = subprocess.run([*_UNSHARE, "sh", "-c", _MADE], env=environment, capture_output=True, text=True)
    return tried.stderr.strip() or "its files cannot be mounted" if tried.returncode else ""


@contextmanager
def booted(folder: Path, shared: Path) -> Iterator[Systemd]:
    """Until the block ends. `folder` is made."""
    place = _cgroups()
    assert place is not None
    group = place / f"lgsp-{os.getpid()}"
    folder.mkdir()
    group.mkdir(exist_ok=True)
    with (folder.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec {" ".join(_UNSHARE)} sh -c "$0"', _MADE + _BOOT],
            env=_environment(folder, shared), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        first = until("its first process", lambda: _child_of(process))
        made = Systemd(first, shared)
        until(
            "systemd is up", lambda: made.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")
        )
        yield made
    except BaseException:
        print(folder.with_suffix(".log").read_text("utf-8", "replace")[-2000:])
        raise
    finally:
        process.send_signal(signal.SIGKILL)  # its child, the first process of the namespace, dies with it
        process.wait(60)
        _emptied(group)


def _environment(folder: Path, shared: Path) -> dict[str, str]:
    return {"PATH": _PATH, "PLACE": str(folder), "SHARED": str(shared), "ROOM": _ROOM}


def _child_of(process: subprocess.Popen[bytes]) -> int:
    assert process.poll() is None, "it ended at its start"
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    return 0


def _cgroups() -> Path | None:
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def _emptied(group: Path) -> None:
    deadline = time.monotonic() + 30
    while group.exists() and time.monotonic() < deadline:
        for each in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                each.rmdir()
        with suppress(OSError):
            group.rmdir()
        time.sleep(0.1)
