# What the launch scripts share; they read this file, it is not run itself.
# slurm.sbatch has its own copy of what it needs: Slurm runs a copy of that
# script from another folder.

# shellcheck shell=bash disable=SC2034
readonly SAVED=75  # The exit code of a run that can be continued.

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

say() { echo "${0##*/}: $*" >&2; }

fail() {
  say "$@"
  exit 2
}

need() {  # need SETTING EXAMPLE
  [[ ${!1:-} ]] || fail "set $1, such as $1=$2"
}

need_number() {
  [[ ${!1} =~ ^[0-9]+$ ]] || fail "$1 is a whole number; got '${!1}'"
}

# One line that a shell reads back as the same words.
show() {
  local word line="" quote="'\\''"
  for word in "$@"; do
    if [[ ! $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
      word=${word//\'/$quote}
      word="'$word'"
    fi
    line+=" $word"
  done
  echo "${line# }"
}

# Sets dry_run, and arguments to what is handed on.
parse() {
  dry_run=""
  while (($#)); do
    case $1 in
      --dry-run) dry_run=1 ;;
      --help | -h) usage; exit 0 ;;
      --) shift; break ;;
      *) break ;;
    esac
    shift
  done
  arguments=("$@")
}
