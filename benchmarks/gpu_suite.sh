#!/usr/bin/env bash
# Everything that is worth knowing of a machine with a GPU, part by part.
#
#   DATA_DIR=DIR benchmarks/gpu_suite.sh runs/gpu
#
# benchmarks/gpu_suite.sh STATE_DIR [--seconds=560] [--only=PATTERN] [--small]
#                         [--dry-run | --help]
#
# The parts: tests that a GPU may answer in its own way; the benchmarks, with the
# PyTorch peer where it is installed; and the full pipelines of CIFAR-10 and
# CIFAR-100 with the authors' hyper-parameters. A call does the next ones until
# its seconds are over; what runs then is told to save and to end, which may take
# half a minute more. The exit code is 75 as long as there is more to do, and the
# same command goes on. It is 0 when all is done, and 1 when something failed.
# Pipelines go on from their checkpoints and benchmarks from the last command that
# was measured; one command of these, or one file of tests, has to fit into a call.
#
#   STATE_DIR/done/PART, failed/PART  what was finished, and how
#   STATE_DIR/logs/PART.log           what it said
#   STATE_DIR/runs/, results/         workdirs, and the tables of the benchmarks
#
# A part that failed is tried again when its file in failed/ is deleted.
#
#   --seconds=N     how long this call may take
#   --only=PATTERN  parts whose name the shell's pattern fits, such as 'cifar10_*'
#   --small         the same on a CPU, with tiny sizes and noise for images
#   --dry-run       prints the commands that are left, and does nothing
#
# Settings, from the environment:
#   DATA_DIR        the prepared data sets; required, but not by --small
#   PYTHON          the interpreter (.venv/bin/python if there, else python3)
#   DTYPE           what the pipelines compute in (bfloat16)
#   STEPS_PER_CALL  of the pipelines; divides the 351 steps of an epoch (27)

set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../launch/common.bash
source "$home/launch/common.bash"

seconds=560 only='*' small="" dry_run="" state=""
for argument in "$@"; do
  case $argument in
    --seconds=*) seconds=${argument#*=} ;;
    --only=*) only=${argument#*=} ;;
    --small) small=1 ;;
    --dry-run) dry_run=1 ;;
    --help | -h) usage; exit 0 ;;
    -*) fail "there is no option $argument; --help lists them" ;;
    *)
      [[ ! $state ]] || fail "one STATE_DIR is enough; got $state and $argument"
      state=$argument
      ;;
  esac
done
[[ $state ]] || fail "name a folder for the state, such as runs/gpu"
need_number seconds
DATA_DIR=${DATA_DIR:-}
DTYPE=${DTYPE:-bfloat16}
STEPS_PER_CALL=${STEPS_PER_CALL:-27}
if [[ ! $small ]]; then need DATA_DIR data; fi
need_number STEPS_PER_CALL
state=$(realpath -m "$state")
if [[ $DATA_DIR ]]; then DATA_DIR=$(realpath -m "$DATA_DIR"); fi
cd "$home"
if [[ -z ${PYTHON:-} ]]; then
  PYTHON=python3
  if [[ -x .venv/bin/python ]]; then PYTHON=.venv/bin/python; fi
fi

# Other processes, and PyTorch, want memory of the GPU too.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
tests=(
  losses converters swapnet mixed objective reference augment precision
  optimizers runtime peers
)
benchmarks=(train_step cold_start swap evaluation scaling reads)
families=(vgg resnet vit)
datasets=(cifar10 cifar100)
if [[ $small ]]; then
  export JAX_PLATFORMS=cpu
  tests=(losses)
  benchmarks=(evaluation reads)
  datasets=(cifar10)
fi

list_parts() {
  local name data
  for name in "${tests[@]}"; do echo "test_$name"; done
  for name in "${benchmarks[@]}"; do echo "benchmark_$name"; done
  for data in "${datasets[@]}"; do
    for name in "${families[@]}"; do echo "${data}_$name"; done
  done
}

# Sets `command` for a part.
make_command() {
  local part=$1 name=${1#*_} stage
  case $part in
    test_*)
      # Exact products: the tests compare with numbers of float32.
      command=(
        env JAX_DEFAULT_MATMUL_PRECISION=highest
        "$PYTHON" -m pytest -q "tests/test_$name.py"
      )
      ;;
    benchmark_*)
      command=(
        "$PYTHON" -m benchmarks "$name" --missing "--out=$state/results"
      )
      if [[ $small ]]; then command+=(--quick); fi
      ;;
    *)
      command=(
        "$PYTHON" -m pwl_jax.main
        "--config=configs/cifar.py:$name,${part%%_*}${small:+,small}"
        "--workdir=$state/runs/$part"
      )
      if [[ $small ]]; then
        command+=(--config.data.name=synthetic:200x32x32x3/10)
        for stage in teacher student distill; do
          # Noise and a few steps: the authors' rate would end in no numbers.
          command+=(
            "--config.$stage.epochs=1" "--config.$stage.batch_size=16"
            "--config.$stage.learning_rate=0.001"
          )
        done
      else
        command+=(
          "--config.data.data_dir=$DATA_DIR" "--config.model.dtype=$DTYPE"
          "--config.steps_per_call=$STEPS_PER_CALL"
        )
      fi
      ;;
  esac
}

left=()
for part in $(list_parts); do
  # shellcheck disable=SC2053  # A pattern it is.
  if [[ $part == $only && ! -e $state/done/$part && \
    ! -e $state/failed/$part ]]; then
    left+=("$part")
  fi
done
if [[ $dry_run ]]; then
  for part in "${left[@]+"${left[@]}"}"; do
    make_command "$part"
    show "${command[@]}"
  done
  exit 0
fi

mkdir -p "$state"/{done,failed,logs}
child="" asked="" result=""
# shellcheck disable=SC2329  # The trap calls it.
on_signal() {
  asked=1
  if [[ $child ]]; then kill -s TERM "$child" 2>/dev/null || true; fi
}
trap on_signal TERM INT HUP

# Runs `command` until it ends or the time is over; sets `status`.
run_command() {
  timeout --signal=TERM --kill-after=30 "$1" "${command[@]}" \
    </dev/null >>"$2" 2>&1 &
  child=$!
  status=0
  wait "$child" || status=$?
  while kill -0 "$child" 2>/dev/null; do  # The wait ended with a signal.
    status=0
    wait "$child" || status=$?
  done
  child=""
}

for part in "${left[@]+"${left[@]}"}"; do
  rest=$((seconds - SECONDS))
  if ((rest <= 0)) || [[ $asked ]]; then
    say "the time is over; the same command goes on with $part"
    exit "$SAVED"
  fi
  make_command "$part"
  say "$part: $(show "${command[@]}")"
  run_command "$rest" "$state/logs/$part.log"
  # 124 and 137 are those of `timeout`, when it had to end the part.
  if ((status == SAVED || status == 124 || status == 137)) ||
    [[ $asked && $status != 0 ]]; then
    say "$part is not finished; the same command goes on with it"
    exit "$SAVED"
  fi
  if ((status)); then
    say "$part failed with exit code $status; the end of its log:"
    tail -n 20 "$state/logs/$part.log" >&2
    echo "$status" >"$state/failed/$part"
  else
    say "$part is done"
    show "${command[@]}" >"$state/done/$part"
  fi
done

for file in "$state"/failed/*; do
  [[ -e $file ]] || break
  say "${file##*/} failed; see $state/logs/${file##*/}.log"
  result=1
done
if [[ $result ]]; then exit "$result"; fi
say "all is done"
