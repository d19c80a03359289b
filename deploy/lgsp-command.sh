#!/bin/sh
# The command lgsp of a machine with the unit lgsp.service: it runs as the gateway's user, so that new files are its
# own, and with the secret of the keys, which only root can read. Run it as root.
set -eu
terminal=--pipe
if [ -t 0 ] && [ -t 1 ]; then terminal=--pty; fi
folder=$PWD
if ! runuser -u lgsp -- test -x "$PWD"; then # as /root is: systemd would only say 200
  folder=/
  for word; do
    case $word in /* | -*) continue ;; esac
    if [ -e "$word" ]; then
      echo "lgsp: the gateway's user lgsp cannot enter $PWD, so it cannot use $word there: copy it to a folder that lgsp may read, or give a file that a command reads by < $word / tài khoản lgsp không vào được $PWD nên không dùng được $word ở đó: chép sang thư mục mà lgsp đọc được, hoặc đưa tệp vào bằng < $word" >&2
      exit 2
    fi
  done
fi
exec systemd-run --quiet "$terminal" --wait --working-directory="$folder" --uid=lgsp --property=LoadCredential=lgsp:/etc/lgsp/secret \
  --setenv=LGSP_SECRET_FILE=credential:lgsp --setenv=LGSP_DATA=/var/lib/lgsp \
  ${LGSP_AS:+--setenv=LGSP_AS} ${LGSP_KEY:+--setenv=LGSP_KEY} ${LGSP_LANG:+--setenv=LGSP_LANG} \
  /opt/lgsp/bin/lgsp "$@"
