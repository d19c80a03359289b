#!/bin/sh
# usage, as root in an unpacked release or bundle, on Linux with systemd: sh deploy/install.sh [ANSWERS.yaml]
# Installs the gateway into /opt/lgsp, its user, folders, secret and unit, and the command lgsp. With answers it also
# makes the production instance and starts it (docs/operating.md). Run again, it installs this release in place of the
# one before; secret, data and backups stay.
set -eu
answers=${1:-}
[ -z "$answers" ] || [ -r "$answers" ] || { echo "lgsp: $answers cannot be read / không đọc được" >&2; exit 2; }
[ -z "$answers" ] || answers=$(realpath "$answers")
cd "$(dirname "$0")/.."
systemctl show-environment >/dev/null 2>&1 || {
  echo "lgsp: systemd does not run here; nothing was installed / máy này không chạy systemd; chưa cài gì" >&2
  echo "      Without it: sh deploy/program.sh FOLDER, then FOLDER/bin/lgsp setup ANSWERS and FOLDER/bin/lgsp up" >&2
  echo "      (docs/operating.md) / Không có systemd thì dùng ba lệnh trên (docs/vi/operating.md)." >&2
  exit 2
}
sh deploy/program.sh /opt/lgsp
id lgsp >/dev/null 2>&1 || useradd --system --home-dir /var/lib/lgsp --shell /usr/sbin/nologin lgsp
runuser -u lgsp -- /opt/lgsp/bin/lgsp --version >/dev/null 2>&1 || {
  echo "lgsp: the user lgsp cannot run $(readlink -f /opt/lgsp/bin/python), of which /opt/lgsp was made / tài khoản lgsp không chạy được Python này" >&2
  echo "      Let python3 be one that every user can run (Debian: python3-venv), remove /opt/lgsp, run this again / Dùng python3 mà mọi tài khoản chạy được, xóa /opt/lgsp rồi chạy lại." >&2
  exit 2
}
[ -z "$answers" ] || runuser -u lgsp -- test -r "$answers" || {
  echo "lgsp: the gateway's user lgsp cannot read $answers: put it, and the files that it names, in a folder that lgsp may read (not below /root) / tài khoản lgsp không đọc được $answers: đặt tệp này và các tệp nêu trong đó vào thư mục mà lgsp đọc được (không đặt trong /root)" >&2
  exit 2
}
install -d -m 0755 /etc/lgsp
[ -e /etc/lgsp/secret ] || (umask 077 && head -c 32 /dev/urandom > /etc/lgsp/secret)
install -d -o lgsp -g lgsp -m 0700 /var/lib/lgsp
install -d -o lgsp -g lgsp -m 0700 /var/backups/lgsp
for unit in lgsp.service lgsp-doctor.service lgsp-doctor.timer lgsp-backup.service lgsp-backup.timer \
  lgsp-drill.service lgsp-drill.timer; do
  install -m 0644 "deploy/$unit" "/etc/systemd/system/$unit"
done
install -m 0755 deploy/lgsp-command.sh /usr/local/bin/lgsp
systemctl daemon-reload
[ -z "$answers" ] || /usr/local/bin/lgsp setup "$answers"
[ -z "$answers" ] || systemctl enable --now lgsp lgsp-doctor.timer lgsp-backup.timer lgsp-drill.timer
