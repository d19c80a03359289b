#!/bin/sh
# The command lgsp of a machine with the unit lgsp.service: it runs as the gateway's user, so that new files are its
# own, and with the secret of the keys, which only root can read. Run it as root.
set -eu
terminal=--pipe
if [ -t 0 ] && [ -t 1 ]; then terminal=--pty; fi
exec systemd-run --quiet "$terminal" --wait --same-dir --uid=lgsp --property=LoadCredential=lgsp:/etc/lgsp/secret \
  --setenv=LGSP_SECRET_FILE=credential:lgsp --setenv=LGSP_DATA=/var/lib/lgsp \
  ${LGSP_AS:+--setenv=LGSP_AS} ${LGSP_KEY:+--setenv=LGSP_KEY} ${LGSP_LANG:+--setenv=LGSP_LANG} \
  /opt/lgsp/bin/lgsp "$@"
