#!/bin/sh
# usage, as root in an unpacked release, on Linux with systemd: sh deploy/install.sh [ANSWERS.yaml]
# Installs the gateway into /opt/lgsp, its user, folders, secret and unit, and the command lgsp. With answers it also
# makes the production instance and starts it (docs/operating.md). With a folder wheels/ nothing is fetched
# (`lgsp bundle`). It may be run again: what is there stays.
set -eu
cd "$(dirname "$0")/.."
answers=${1:-}
[ -z "$answers" ] || [ -r "$answers" ] || { echo "lgsp: $answers cannot be read / không đọc được" >&2; exit 2; }
offline=
[ ! -d wheels ] || offline="--no-index --find-links wheels"
[ -x /opt/lgsp/bin/python ] || python3 -m venv /opt/lgsp
# shellcheck disable=SC2086  # two words, or none
/opt/lgsp/bin/pip install --quiet $offline --require-hashes -r requirements.lock
mkdir -p dist
# shellcheck disable=SC2086
[ -n "$(ls dist/lgsp-*.whl 2>/dev/null)" ] || /opt/lgsp/bin/pip wheel --quiet $offline --no-deps --wheel-dir dist .
/opt/lgsp/bin/pip install --quiet --no-index --no-deps --force-reinstall dist/lgsp-*.whl
id lgsp >/dev/null 2>&1 || useradd --system --home-dir /var/lib/lgsp --shell /usr/sbin/nologin lgsp
install -d -m 0755 /etc/lgsp
[ -e /etc/lgsp/secret ] || (umask 077 && head -c 32 /dev/urandom > /etc/lgsp/secret)
install -d -o lgsp -g lgsp -m 0700 /var/lib/lgsp
install -d -o lgsp -g lgsp -m 0700 /var/backups/lgsp
for unit in lgsp.service lgsp-doctor.service lgsp-doctor.timer lgsp-backup.service lgsp-backup.timer; do
  install -m 0644 "deploy/$unit" "/etc/systemd/system/$unit"
done
install -m 0755 deploy/lgsp-command.sh /usr/local/bin/lgsp
systemctl daemon-reload
[ -z "$answers" ] || /usr/local/bin/lgsp setup "$answers"
[ -z "$answers" ] || systemctl enable --now lgsp lgsp-doctor.timer lgsp-backup.timer
