#!/bin/sh
# usage, in an unpacked release or bundle: sh deploy/program.sh FOLDER
# Installs the program alone into a Python environment in FOLDER: from the folder wheels/ beside deploy/, if the release
# is a bundle (`lgsp bundle`; no network is used), else from the package index. Run again, it takes this release instead.
set -eu
[ $# -eq 1 ] || { echo "usage / cách dùng: sh deploy/program.sh FOLDER" >&2; exit 2; }
case $1 in /*) folder=$1 ;; *) folder=$PWD/$1 ;; esac
cd "$(dirname "$0")/.."
python=python3
[ ! -x "$folder/bin/python" ] || python=$folder/bin/python
if [ -d wheels ]; then # before anything is made in the folder
  sha256sum --quiet --check SHA256SUMS || { echo "lgsp: files of the bundle are not as SHA256SUMS has them / tệp trong gói không đúng như SHA256SUMS" >&2; exit 2; }
  here=$("$python" -c 'import sys, sysconfig; print("%d.%d %s" % (*sys.version_info[:2], sysconfig.get_platform()))')
  made=$(cat PYTHON)
  [ "$here" = "$made" ] || {
    echo "lgsp: this bundle is for Python $made; $python is $here / gói này dành cho Python $made, còn $python là $here" >&2
    if [ "$python" = python3 ]; then
      echo "      Let python3 be that Python, then run this again / Đặt python3 là bản Python đó rồi chạy lại." >&2
    else
      echo "      Let python3 be that Python, move $folder away, then run this again / Đặt python3 là bản Python đó, chuyển $folder đi nơi khác rồi chạy lại." >&2
    fi
    exit 2
  }
fi
[ "$python" != python3 ] || python3 -m venv "$folder"
pip() { "$folder/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
if [ -d wheels ]; then
  from_bundle() { pip install --quiet --no-index --find-links wheels --no-deps --require-hashes "$@"; }
  from_bundle -r requirements.lock
  from_bundle --force-reinstall -r lgsp.lock # what is installed may be another build of the same version
else
  pip install --quiet --require-hashes -r requirements.lock
  built=$(mktemp -d) # a wheel of an older release may lie in dist/
  "$python" -m venv "$built/tools" --without-pip # what builds the wheel does not stay in the folder
  pip --python "$built/tools/bin/python" install --quiet --require-hashes -r requirements-build.lock
  pip --python "$built/tools/bin/python" wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir "$built" .
  pip install --quiet --no-index --no-deps --force-reinstall "$built"/lgsp-*.whl
  rm -r "$built"
fi
