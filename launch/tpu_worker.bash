#!/usr/bin/env bash
# What tpu_pod.sh has each worker of a TPU do; it copies this file there.
#
#   tpu_worker.bash installed VERSION   whether that is installed
#   tpu_worker.bash install VERSION     installs ~/pwl_jax.tar.gz or, where they
#                                       are set, REF of REPO; before it, SETUP
#   tpu_worker.bash mount SHARED MOUNT  mounts HOST:/PATH or gs://BUCKET there
#   tpu_worker.bash train ARGUMENTS...  runs pwl_jax.main, after a `stop`
#   tpu_worker.bash stop                ends what runs, after it has saved
#
# Everything lies in ~/pwl_jax. All but `train` may be repeated at no cost.

set -euo pipefail

readonly HOUSE=$HOME/pwl_jax

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

fail() {
  echo "tpu_worker.bash: $*" >&2
  exit 2
}

installed() { [[ $(cat "$HOUSE/installed" 2>/dev/null) == "$1" ]]; }

install() {
  if [[ ${SETUP:-} ]]; then bash -euo pipefail -c "$SETUP"; fi
  mkdir -p "$HOUSE"
  cd "$HOUSE"
  rm -rf installed source venv
  if [[ ${REPO:-} ]]; then
    git clone --quiet "$REPO" source
    git -C source checkout --quiet "$REF"
  else
    mkdir source
    tar -xzf ~/pwl_jax.tar.gz -C source
  fi
  # The images come with older versions of Python; uv brings one.
  PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
  python3 -m uv venv --quiet --python "$PYTHON_VERSION" venv
  python3 -m uv pip install --quiet --python venv/bin/python \
    --editable ./source "jax[tpu]"
  echo "$1" >installed  # Last: with it the installation is complete.
}

mount_shared() {
  local shared=$1 at=$2
  if mountpoint -q "$at"; then return; fi
  sudo mkdir -p "$at"
  case $shared in
    gs://*)
      command -v gcsfuse >/dev/null ||
        fail "there is no gcsfuse on this image; install it with SETUP"
      sudo chown "$(id -u)" "$at"
      gcsfuse --implicit-dirs "${shared#gs://}" "$at"
      ;;
    *)
      if ! command -v mount.nfs >/dev/null; then
        sudo apt-get update -qq
        sudo apt-get install -qq -y nfs-common
      fi
      sudo mount -t nfs "$shared" "$at"
      ;;
  esac
}

# A run outlives the connection that began it, and holds the TPU.
stop() {
  local pid
  pid=$(cat "$HOUSE/pid" 2>/dev/null) || return 0
  # The number may be another program's by now.
  grep -qs pwl_jax.main "/proc/$pid/cmdline" || return 0
  kill -s TERM "$pid"
  timeout 600 tail --pid="$pid" -f /dev/null || kill -s KILL "$pid"
}

train() {
  stop
  cd "$HOUSE/source"
  echo "$$" >"$HOUSE/pid"
  exec ../venv/bin/python -m pwl_jax.main --distributed=on "$@"
}

case ${1:-} in
  installed | install | train | stop) "$@" ;;
  mount) mount_shared "$2" "$3" ;;
  --help | -h) usage ;;
  *) fail "installed, install, mount, train or stop; got '${1:-}'" ;;
esac
