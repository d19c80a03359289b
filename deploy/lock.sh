#!/bin/sh
# Makes the locks anew from pyproject.toml: requirements.lock (to run), requirements-agent.lock (the part of it that the agent and the client kit
# need, on machines that run nothing else), requirements-build.lock (what builds the gateway's own wheel, and does not stay where it runs) and
# requirements-test.lock (on top, for ./lgsp test).
# They hold exact versions and hashes for every platform, and no index address: where packages come from is the installer's setting.
# Needs `uv` on the PATH. Give --upgrade to move to newer versions; without it what is pinned stays where it still fits.
set -eu
cd -- "$(dirname -- "$0")/.."

compile() { # output, input, then the options of its own
  output=$1 input=$2
  shift 2
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links --no-config --output-file "$output" "$@" "$input"
}

declared() { # a list of pyproject.toml
  python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))$1, sep='\n')"
}

pins() { # a lock
  grep -E '^[a-z0-9A-Z._-]+(\[[^]]*\])?==' "$1" | sed -e 's/ *\\$//' -e 's/\[[^]]*\]//'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compile requirements.lock pyproject.toml "$@"
# The test lock agrees with the run lock on what both hold, and leaves it out: it is installed on top.
pins requirements.lock >"$work/held.txt"
declared "['project']['optional-dependencies']['agent']" >"$work/agent.in"
compile requirements-agent.lock "$work/agent.in" --constraint "$work/held.txt"
declared "['build-system']['requires']" >"$work/build.in"
compile requirements-build.lock "$work/build.in" --constraint "$work/held.txt" "$@"
# The tests build with the same versions.
pins requirements-build.lock | cat "$work/held.txt" - >"$work/constraints.txt"
cat requirements.lock requirements-test.lock >"$work/full.lock" 2>/dev/null || :
compile "$work/full.lock" pyproject.toml --extra test --constraint "$work/constraints.txt" "$@"
awk '
  function pin(line) { sub(/ *\\$/, "", line); sub(/\[[^]]*\]/, "", line); return line }
  NR == FNR { held[$0] = 1; next }
  /^[A-Za-z0-9]/ { keep = !(pin($0) in held) }
  keep
' "$work/held.txt" "$work/full.lock" >"$work/top.lock"
mv "$work/top.lock" requirements-test.lock
wc -l requirements.lock requirements-agent.lock requirements-build.lock requirements-test.lock
