#!/usr/bin/env bash
# Trains with several processes on this machine, on its CPU or its GPUs.
#
#   CONFIG=configs/digits.py WORKDIR=runs/digits launch/local.sh
#   CONFIG=configs/cifar.py:resnet,cifar10 WORKDIR=runs/cifar DEVICES=gpu \
#     PROCESSES=4 launch/local.sh -- --config.data.data_dir=DIR
#
# launch/local.sh [--dry-run | --help] [--] [arguments for pwl_jax.main ...]
#
# Process 0 writes to the terminal, the others to LOG_DIR. SIGTERM, Ctrl-C and
# SIGHUP reach all of them: they save, and the exit code is 75. When one fails,
# the others are ended and its exit code is the script's. The same command
# continues. One process for all devices is simpler and as fast: this is for
# trying out what several machines would do, and for one process per GPU.
#
# Settings, from the environment:
#   CONFIG         the config file, with its argument if it takes one; required
#   WORKDIR        where the run writes and what it continues from; required
#   PROCESSES      how many (2)
#   DEVICES        cpu or gpu (cpu); the cores or GPUs are divided equally
#   CUDA_VISIBLE_DEVICES  the GPUs to divide, such as 0,1,2,3 (all)
#   LOG_DIR        for process_1.log and so on, appended to (WORKDIR/logs)
#   PORT           where the processes meet (one that is free)
#   GRACE_SECONDS  what the others have to end in, once one has failed or has
#                  saved; then they are killed (60)
#   PYTHON         the interpreter (.venv/bin/python if there, else python3)

set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
parse "$@"
set -- "${arguments[@]+"${arguments[@]}"}"

CONFIG=${CONFIG:-}
WORKDIR=${WORKDIR:-}
PROCESSES=${PROCESSES:-2}
DEVICES=${DEVICES:-cpu}
GRACE_SECONDS=${GRACE_SECONDS:-60}
need CONFIG configs/digits.py
need WORKDIR runs/digits
[[ $PROCESSES =~ ^[1-9][0-9]*$ ]] ||
  fail "PROCESSES is a number from 1, such as 2; got '$PROCESSES'"
need_number GRACE_SECONDS
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 403)) ||
  fail "bash 4.3 or newer is needed, this is $BASH_VERSION; install one and" \
    "run it: bash launch/local.sh"
LOG_DIR=${LOG_DIR:-$WORKDIR/logs}
if [[ -z ${PYTHON:-} ]]; then
  PYTHON=python3
  if [[ -x .venv/bin/python ]]; then PYTHON=.venv/bin/python; fi
fi

gpus=()
case $DEVICES in
  cpu) ;;
  gpu)
    if [[ ${CUDA_VISIBLE_DEVICES:-} ]]; then
      IFS=, read -r -a gpus <<<"$CUDA_VISIBLE_DEVICES"
    else
      count=$(nvidia-smi --list-gpus 2>/dev/null | grep -c ^GPU) || count=0
      for ((i = 0; i < count; i++)); do gpus+=("$i"); done
    fi
    ((${#gpus[@]})) || fail "no GPU was found; name them," \
      "CUDA_VISIBLE_DEVICES=0,1, or use DEVICES=cpu"
    ((${#gpus[@]} % PROCESSES == 0)) ||
      fail "${#gpus[@]} GPUs cannot be divided equally among $PROCESSES" \
        "processes; choose another PROCESSES, or name fewer GPUs in" \
        "CUDA_VISIBLE_DEVICES"
    ;;
  *) fail "DEVICES is cpu or gpu; got '$DEVICES'" ;;
esac

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 10000))
    if ! listens "$port"; then
      echo "$port"
      return
    fi
  done
  fail "found no free port from 20000 to 29999; set PORT"
}

PORT=${PORT:-$(free_port)}

# Sets `command` for process $1; $2... are the arguments for pwl_jax.main.
make_command() {
  local i=$1 cores share mine ids
  shift
  if [[ $DEVICES == cpu ]]; then
    cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
    share=$((cores > PROCESSES ? cores / PROCESSES : 1))
    ids=0
    # XLA takes the size of its pool of threads from PJRT_NPROC.
    command=(
      env JAX_PLATFORMS=cpu "PJRT_NPROC=$share" "OMP_NUM_THREADS=$share"
    )
  else
    share=$((${#gpus[@]} / PROCESSES))
    mine=$(IFS=, && echo "${gpus[*]:i * share:share}")
    ids=$(seq -s, 0 $((share - 1)))
    # The platform is named so that a GPU that does not start is an error.
    command=(
      env "JAX_PLATFORMS=${JAX_PLATFORMS:-cuda,cpu}"
      "CUDA_VISIBLE_DEVICES=$mine"
    )
  fi
  # With the ids given, jax asks no cluster around us which devices to use.
  command+=(
    "JAX_LOCAL_DEVICE_IDS=$ids"
    "$PYTHON" -m pwl_jax.main "--config=$CONFIG" "--workdir=$WORKDIR"
    "--coordinator_address=127.0.0.1:$PORT" "--num_processes=$PROCESSES"
    "--process_id=$i" "$@"
  )
}

log_of() { echo "$LOG_DIR/process_$1.log"; }

if [[ $dry_run ]]; then
  for ((i = 0; i < PROCESSES; i++)); do
    make_command "$i" "$@"
    if ((i)); then
      echo "$(show "${command[@]}") >> $(show "$(log_of "$i")") 2>&1 &"
    else
      echo "$(show "${command[@]}") &"
    fi
  done
  exit 0
fi

pids=()  # Of the processes that run, by their number.
started=0
asked=""  # Whether a signal has asked for the end.
result=0
timer=""

end_all() {
  local i
  for i in "${!pids[@]}"; do kill -s TERM "${pids[i]}" 2>/dev/null || true; done
}

# shellcheck disable=SC2329  # The trap calls it.
on_signal() {
  asked=1
  end_all
}

# Once one process has failed or saved, the others wait for it in vain.
limit_the_others() {
  ((${#pids[@]})) || return 0
  (sleep "$GRACE_SECONDS" && kill -s KILL "${pids[@]}") \
    </dev/null >/dev/null 2>&1 &
  timer=$!
}

on_failure() {
  local i=$1 status=$2
  result=$status
  if ((status != SAVED)); then
    echo "local.sh: process $i ended with exit code $status" >&2
    if ((i)); then
      echo "local.sh: the end of $(log_of "$i"):" >&2
      tail -n 20 "$(log_of "$i")" >&2
    fi
    if [[ ! $asked ]]; then end_all; fi
  fi
  limit_the_others
}

trap on_signal TERM INT HUP
mkdir -p "$LOG_DIR"
# Each process in a group of its own: Ctrl-C reaches it once, through us. A
# second signal would end it before it has saved.
set -m
for ((i = 0; i < PROCESSES; i++)); do
  if [[ $asked ]]; then break; fi
  make_command "$i" "$@"
  if ((i)); then
    "${command[@]}" </dev/null >>"$(log_of "$i")" 2>&1 &
  else
    "${command[@]}" </dev/null &
  fi
  pids[i]=$!
  started=$((started + 1))
done

while ((${#pids[@]})); do
  wait -n "${pids[@]}" 2>/dev/null || true  # A signal ends it too.
  for i in "${!pids[@]}"; do
    if kill -0 "${pids[i]}" 2>/dev/null; then continue; fi
    status=0
    wait "${pids[i]}" || status=$?
    unset "pids[i]"
    if ((status && !result)); then on_failure "$i" "$status"; fi
  done
done
if [[ $timer ]]; then kill -s TERM -- "-$timer" 2>/dev/null || true; fi
if ((started < PROCESSES && !result)); then result=$SAVED; fi
exit "$result"
