#!/usr/bin/env bash
# Trains on a Cloud TPU VM or pod: creates it, installs, runs on all workers.
#
#   NAME=pwl ZONE=us-central2-b ACCELERATOR_TYPE=v4-32 SPOT=1 \
#     RUNTIME_VERSION=tpu-ubuntu2204-base SHARED=10.0.0.2:/runs \
#     CONFIG=configs/cifar.py:resnet,cifar10 WORKDIR=/mnt/pwl/cifar \
#     launch/tpu_pod.sh -- --config.data.data_dir=/mnt/pwl/data
#
# launch/tpu_pod.sh [--dry-run | --help] [--] [arguments for pwl_jax.main ...]
#
# Stay beside it, in tmux say, or run it again: what is there is used, what was
# preempted is made anew, what is installed is not installed twice, and the run
# continues from its WORKDIR. It goes on by itself after preemption, after a
# lost connection and when the run saved and stopped (exit code 75); an error of
# the run ends it, with the same exit code. Ctrl-C and SIGTERM let the workers
# save first. The TPU is left for the next run; the last line says how to delete
# it.
#
# Settings, from the environment:
#   NAME              of the TPU VM; required
#   ZONE              required
#   PROJECT           (the one gcloud is set to)
#   ACCELERATOR_TYPE  such as v4-32 or v5litepod-16; required
#   RUNTIME_VERSION   the image of the workers, which goes with the type;
#                     required
#   SPOT              1 for one that is cheap and may be taken back
#   CREATE_FLAGS      more flags for creating it, such as --network=NET
#   CONFIG            the config file, with its argument if it takes one;
#                     required
#   WORKDIR           where the run writes and what it continues from, below
#                     MOUNT; required
#   SHARED            the disk that all workers see, and that outlives them;
#                     required:
#                       HOST:/PATH   an NFS share, such as Filestore
#                       gs://BUCKET  a bucket, through gcsfuse; one with a
#                                    hierarchical namespace, since the run
#                                    renames directories
#                       mounted      it is there, or SETUP mounts it
#   MOUNT             where SHARED is mounted (/mnt/pwl)
#   REPO              what to install: . for this repository as it lies here,
#                     without what git ignores, or the URL of one for git (.)
#   REF               for a URL: the tag or commit
#   SETUP             a command for every worker, once, before all else, such
#                     as one that installs gcsfuse
#   PYTHON_VERSION    what uv fetches for the workers (3.12)
#   ATTEMPTS          how often to begin before giving up, with 75 (100)
#   RETRY_SECONDS     between two attempts (60)

set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
parse "$@"
set -- "${arguments[@]+"${arguments[@]}"}"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly worker=$root/launch/tpu_worker.bash
readonly LOST=255  # Of ssh, when the connection broke.

SPOT=${SPOT:-}
MOUNT=${MOUNT:-/mnt/pwl}
REPO=${REPO:-.}
REF=${REF:-}
SETUP=${SETUP:-}
PYTHON_VERSION=${PYTHON_VERSION:-3.12}
ATTEMPTS=${ATTEMPTS:-100}
RETRY_SECONDS=${RETRY_SECONDS:-60}

need NAME pwl
need ZONE us-central2-b
need ACCELERATOR_TYPE v4-32
need RUNTIME_VERSION tpu-ubuntu2204-base
need CONFIG configs/digits.py
need WORKDIR "$MOUNT/digits"
need SHARED 10.0.0.2:/runs
[[ $WORKDIR == "${MOUNT%/}"/* || $SHARED == mounted ]] ||
  fail "WORKDIR lies below MOUNT=$MOUNT, where all workers see it;" \
    "got '$WORKDIR'"
[[ $SHARED == mounted || $SHARED =~ ^gs://[^/]+$ || $SHARED =~ ^[^/:]+:/ ]] ||
  fail "SHARED is HOST:/PATH, gs://BUCKET or mounted; got '$SHARED'"
[[ $ATTEMPTS =~ ^[1-9][0-9]*$ ]] ||
  fail "ATTEMPTS is a number from 1, such as 100; got '$ATTEMPTS'"
[[ $RETRY_SECONDS =~ ^[0-9]+$ ]] ||
  fail "RETRY_SECONDS is a whole number, such as 60; got '$RETRY_SECONDS'"
[[ $REPO == . || $REF ]] || fail "set REF to a tag or commit of REPO=$REPO"

where=("--zone=$ZONE")
if [[ ${PROJECT:-} ]]; then where+=("--project=$PROJECT"); fi
tpu_vm=(gcloud --quiet compute tpus tpu-vm)
# shellcheck disable=SC2153  # NAME is a setting.
create=(
  "${tpu_vm[@]}" create "$NAME" "${where[@]}"
  "--accelerator-type=$ACCELERATOR_TYPE" "--version=$RUNTIME_VERSION"
)
if [[ $SPOT == 1 ]]; then create+=(--spot); fi
# shellcheck disable=SC2206  # Flags, to be split at spaces.
create+=(${CREATE_FLAGS:-})
delete=("${tpu_vm[@]}" delete "$NAME" "${where[@]}")
list=(
  "${tpu_vm[@]}" list "${where[@]}" "--format=value(name.basename(),state)"
)

run() {
  if [[ $dry_run ]]; then show "$@"; else "$@"; fi
}

copy_to_workers() {
  run "${tpu_vm[@]}" scp "$1" "$NAME:" "${where[@]}" --worker=all
}

# on_workers VERB ARGUMENT...: see tpu_worker.bash, which has been copied there.
on_workers() {
  run "${tpu_vm[@]}" ssh "$NAME" "${where[@]}" --worker=all \
    "--command=$(show bash tpu_worker.bash "$@")"
}

install_on_workers() {
  local settings=("PYTHON_VERSION=$PYTHON_VERSION")
  if [[ $SETUP ]]; then settings+=("SETUP=$SETUP"); fi
  if [[ $REPO != . ]]; then settings+=("REPO=$REPO" "REF=$REF"); fi
  run "${tpu_vm[@]}" ssh "$NAME" "${where[@]}" --worker=all "--command=$(
    show env "${settings[@]}" bash tpu_worker.bash install "$version"
  )"
}

state() {
  local name found
  "${list[@]}" | while read -r name found; do
    if [[ $name == "$NAME" ]]; then echo "$found"; fi
  done
}

make_ready() {
  local found
  found=$(state) || fail "gcloud could not list the TPUs of $ZONE"
  case $found in
    READY) ;;
    "") say "creating $NAME" && "${create[@]}" ;;
    PREEMPTED | TERMINATED)
      say "$NAME is $found; deleting it and creating it anew"
      "${delete[@]}" && "${create[@]}"
      ;;
    STOPPED) "${tpu_vm[@]}" start "$NAME" "${where[@]}" ;;
    *) say "$NAME is $found" && return 1 ;;
  esac
}

# The files of this repository, as they lie here, one a line.
source_files() {
  local name
  git -C "$root" -c core.quotePath=off ls-files --cached --others \
    --exclude-standard | while read -r name; do
    if [[ -f $root/$name ]]; then echo "$name"; fi
  done
}

# A digest of their names and contents: what is installed is known by it.
source_version() {
  local files
  files=$(source_files 2>/dev/null) && [[ $files ]] || return 1
  { echo "$files" && echo "$files" | (cd "$root" &&
    git hash-object --stdin-paths); } | git hash-object --stdin
}

copy_source() {
  local folder status=0
  folder=$(mktemp -d) || return
  source_files >"$folder/files" || status=$?
  tar -czf "$folder/pwl_jax.tar.gz" -C "$root" -T "$folder/files" || status=$?
  if ((status == 0)); then
    copy_to_workers "$folder/pwl_jax.tar.gz" || status=$?
  fi
  rm -rf "$folder"
  return "$status"
}

install() {
  on_workers installed "$version" 2>/dev/null && return
  say "installing on all workers; done once, minutes"
  if [[ $REPO == . ]]; then copy_source || return; fi
  install_on_workers
}

mount_shared() {
  if [[ $SHARED != mounted ]]; then on_workers mount "$SHARED" "$MOUNT"; fi
}

asked=""

# In the background, so that a signal is seen at once; gcloud itself is deaf to
# Ctrl-C there, and goes on showing what the workers say while they save.
train() {
  local pid status=0
  if [[ $asked ]]; then return "$SAVED"; fi
  on_workers train "$@" </dev/null &
  pid=$!
  wait "$pid" || status=$?
  if [[ $asked ]]; then
    say "asking the workers to save"
    on_workers stop || say "could not reach the workers"
    status=0
    wait "$pid" || status=$?
  fi
  return "$status"
}

attempt() {
  make_ready || return "$LOST"
  copy_to_workers "$worker" || return "$LOST"  # New ones answer in a while.
  install || return
  mount_shared || return
  train "$@"
}

print_all() {
  echo "# where there is none of this name:"
  show "${create[@]}"
  echo "# where it was preempted, first:"
  show "${delete[@]}"
  copy_to_workers "$worker"
  on_workers installed "$version"
  echo "# where it is not:"
  if [[ $REPO == . ]]; then
    echo "# pwl_jax.tar.gz holds the files of $root"
    copy_to_workers pwl_jax.tar.gz
  fi
  install_on_workers
  echo "# at most $ATTEMPTS times, until it ends with neither $SAVED nor a" \
    "preemption:"
  mount_shared
  on_workers train "$@"
}

finish() {
  say "$NAME stays; to delete it: $(show "${delete[@]}")"
  exit "$1"
}

set -- "--config=$CONFIG" "--workdir=$WORKDIR" "$@"
version="$REPO $REF"
if [[ $REPO == . ]]; then
  version=$(source_version) ||
    fail "REPO=. needs a git clone, and $root is none; set REPO to the URL" \
      "of one, and REF"
fi
if [[ $dry_run ]]; then
  print_all "$@"
  exit 0
fi
command -v gcloud >/dev/null ||
  fail "there is no gcloud here; install the Google Cloud CLI, or --dry-run"

trap 'asked=1' INT TERM
for ((i = 1; i <= ATTEMPTS; i++)); do
  status=0
  attempt "$@" || status=$?
  if ((status == 0)); then finish 0; fi
  if [[ $asked ]]; then finish "$SAVED"; fi
  if ((status != SAVED && status != LOST)) && [[ $(state) == READY ]]; then
    say "ended with exit code $status"
    finish "$status"
  fi
  say "attempt $i ended with exit code $status; again in $RETRY_SECONDS s"
  sleep "$RETRY_SECONDS"
done
say "gave up after $ATTEMPTS attempts; the same command continues"
finish "$SAVED"
