#!/bin/sh
# usage, in an unpacked release or bundle: sh deploy/program.sh FOLDER
# Installs the program alone into a Python environment in FOLDER: from the folder wheels/ beside deploy/, if the release
# is a bundle (`lgsp bundle`; no network is used), else from the package index. Run again, it takes this release instead.
set -eu
folder=$1
cd "$(dirname "$0")/.."
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
pip() { "$folder/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
if [ -d wheels ]; then
  sha256sum --quiet --check SHA256SUMS || { echo "lgsp: files of the bundle are not as SHA256SUMS has them / tệp trong gói không đúng như SHA256SUMS" >&2; exit 2; }
  here=$("$folder/bin/python" -c 'import sys, sysconfig; print("%d.%d %s" % (*sys.version_info[:2], sysconfig.get_platform()))')
  made=$(cat PYTHON)
  [ "$here" = "$made" ] || { echo "lgsp: this bundle is for Python $made; here is $here / gói này dành cho Python $made, ở đây là $here" >&2; exit 2; }
  from_bundle() { pip install --quiet --no-index --find-links wheels --no-deps --require-hashes "$@"; }
  from_bundle -r requirements.lock
  from_bundle --force-reinstall -r lgsp.lock # what is installed may be another build of the same version
else
  pip install --quiet --require-hashes -r requirements.lock
  built=$(mktemp -d) # a wheel of an older release may lie in dist/
  pip wheel --quiet --no-deps --wheel-dir "$built" .
  pip install --quiet --no-index --no-deps --force-reinstall "$built"/lgsp-*.whl
  rm -r "$built"
fi
