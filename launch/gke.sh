#!/usr/bin/env bash
# Trains on Kubernetes (GKE), on TPUs or GPUs, as a JobSet.
#
#   NAME=cifar IMAGE=REGISTRY/pwl_jax:1 \
#     CONFIG=configs/cifar.py:resnet,cifar10 WORKDIR=/runs/cifar CLAIM=runs \
#     TPU_TYPE=tpu-v5-lite-podslice TPU_TOPOLOGY=4x4 launch/gke.sh
#   ... DEVICES=gpu GPU_TYPE=nvidia-h100-80gb NODES=2 DEVICES_PER_NODE=8 \
#     launch/gke.sh -- --config.distill.epochs=20
#
# launch/gke.sh [--dry-run | --help] [--] [arguments for pwl_jax.main ...]
#
# Needs kubectl that reaches the cluster, and JobSet 0.6 or newer in it.
# --dry-run prints the manifest and touches nothing. A JobSet of this NAME that
# still runs is left alone; one that has ended is replaced, and the run
# continues from its WORKDIR. An eviction, a lost node and the exit code 75
# (saved) start all pods again, at most MAX_RESTARTS times; an error (1 or 2)
# ends the JobSet at once.
#
# Settings, from the environment:
#   NAME          of the JobSet: small letters, digits and -; required
#   IMAGE         with pwl_jax installed, and the configs in its working
#                 directory; launch/README.md shows one; required
#   CONFIG        the config file, with its argument if it takes one; required
#   WORKDIR       where the run writes and what it continues from, below MOUNT;
#                 required
#   CLAIM         a PersistentVolumeClaim that many nodes can write to
#                 (ReadWriteMany, such as Filestore); required
#   MOUNT         where the claim is mounted (/runs)
#   DEVICES       tpu or gpu (tpu)
#   TPU_TYPE      the node label cloud.google.com/gke-tpu-accelerator
#   TPU_TOPOLOGY  the node label cloud.google.com/gke-tpu-topology, such as 4x4
#   GPU_TYPE      the node label cloud.google.com/gke-accelerator (any)
#   DEVICES_PER_NODE  chips or GPUs of a node (TPU 4, GPU 1)
#   NODES         how many (TPU: what the topology has; GPU: 1)
#   SPOT          1 for spot nodes
#   NAMESPACE     of Kubernetes (the one kubectl is set to)
#   SERVICE_ACCOUNT  of Kubernetes, for the pods
#   MAX_RESTARTS  (100)
#   GRACE_SECONDS what a pod has to save in when it is asked to end (120)
#   PYTHON        the interpreter in the image (python)

set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
parse "$@"
set -- "${arguments[@]+"${arguments[@]}"}"

NAME=${NAME:-}
IMAGE=${IMAGE:-}
CONFIG=${CONFIG:-}
WORKDIR=${WORKDIR:-}
CLAIM=${CLAIM:-}
MOUNT=${MOUNT:-/runs}
DEVICES=${DEVICES:-tpu}
TPU_TYPE=${TPU_TYPE:-}
TPU_TOPOLOGY=${TPU_TOPOLOGY:-}
GPU_TYPE=${GPU_TYPE:-}
SPOT=${SPOT:-}
SERVICE_ACCOUNT=${SERVICE_ACCOUNT:-}
MAX_RESTARTS=${MAX_RESTARTS:-100}
GRACE_SECONDS=${GRACE_SECONDS:-120}
PYTHON=${PYTHON:-python}

need NAME cifar
need IMAGE REGISTRY/pwl_jax:1
need CONFIG configs/digits.py
need WORKDIR "$MOUNT/digits"
need CLAIM runs
# Kubernetes makes the names of hosts of it, of 63 letters at most.
[[ $NAME =~ ^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$ ]] ||
  fail "NAME is of small letters, digits and -, starts with a letter, does" \
    "not end with - and has 40 characters at most; got '$NAME'"
[[ $WORKDIR == "${MOUNT%/}"/* ]] ||
  fail "WORKDIR lies below MOUNT=$MOUNT, where all pods see it; got '$WORKDIR'"
case $DEVICES in
  tpu)
    need TPU_TYPE tpu-v5-lite-podslice
    need TPU_TOPOLOGY 4x4
    DEVICES_PER_NODE=${DEVICES_PER_NODE:-4}
    need_number DEVICES_PER_NODE
    [[ $TPU_TOPOLOGY =~ ^[1-9][0-9]*(x[1-9][0-9]*){1,2}$ ]] ||
      fail "TPU_TOPOLOGY is as in 4x4 or 2x2x4; got '$TPU_TOPOLOGY'"
    chips=$((${TPU_TOPOLOGY//x/*}))
    ((DEVICES_PER_NODE && chips % DEVICES_PER_NODE == 0)) ||
      fail "TPU_TOPOLOGY=$TPU_TOPOLOGY has $chips chips, which are not nodes" \
        "of DEVICES_PER_NODE=$DEVICES_PER_NODE; set it to the chips of a node"
    NODES=${NODES:-$((chips / DEVICES_PER_NODE))}
    resource=google.com/tpu
    ;;
  gpu)
    DEVICES_PER_NODE=${DEVICES_PER_NODE:-1}
    NODES=${NODES:-1}
    resource=nvidia.com/gpu
    ;;
  *) fail "DEVICES is tpu or gpu; got '$DEVICES'" ;;
esac
for setting in DEVICES_PER_NODE NODES MAX_RESTARTS GRACE_SECONDS; do
  need_number "$setting"
done
((NODES && DEVICES_PER_NODE)) || fail "NODES and DEVICES_PER_NODE are from 1"

for setting in IMAGE CONFIG WORKDIR CLAIM MOUNT TPU_TYPE GPU_TYPE \
  SERVICE_ACCOUNT PYTHON; do
  [[ ${!setting} != *[[:cntrl:]]* ]] || fail "$setting has a line break in it"
done
[[ $* != *[[:cntrl:]]* ]] || fail "an argument has a line break in it"

# A string that YAML reads back as it was.
quoted() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  echo "\"$text\""
}

# The same for an argument: Kubernetes reads $(NAME) in it as a variable.
argument() {
  local variable="\$(" literal="\$\$("
  local text=${1//"$variable"/$literal}
  quoted "$text"
}

lines() {  # lines INDENT LINE...: the lines, indented
  local line indent=$1
  shift
  for line in "$@"; do printf '%*s%s\n' "$indent" "" "$line"; done
}

selectors() {
  if [[ $DEVICES == tpu ]]; then
    lines 14 "cloud.google.com/gke-tpu-accelerator: $(quoted "$TPU_TYPE")" \
      "cloud.google.com/gke-tpu-topology: $(quoted "$TPU_TOPOLOGY")"
  elif [[ $GPU_TYPE ]]; then
    lines 14 "cloud.google.com/gke-accelerator: $(quoted "$GPU_TYPE")"
  fi
  if [[ $SPOT == 1 ]]; then lines 14 'cloud.google.com/gke-spot: "true"'; fi
}

options() {  # The parts of a pod that not every run has.
  local selected
  selected=$(selectors)
  if [[ $selected ]]; then lines 12 "nodeSelector:" && echo "$selected"; fi
  if [[ $SPOT == 1 ]]; then
    lines 12 "tolerations:" "- key: cloud.google.com/gke-spot" \
      "  operator: Equal" '  value: "true"' "  effect: NoSchedule"
  fi
  if [[ $SERVICE_ACCOUNT ]]; then
    lines 12 "serviceAccountName: $(quoted "$SERVICE_ACCOUNT")"
  fi
}

# On TPUs jax finds the other pods by what GKE tells it. On GPUs it would need
# a package and rights to ask Kubernetes, so it is told here.
distribution() {
  if [[ $DEVICES == tpu ]]; then
    lines 14 "- --distributed=on"
  else
    lines 14 \
      "- --coordinator_address=$NAME-workers-0-0.$NAME:1234" \
      "- --num_processes=$NODES" \
      "- --process_id=\$(JOB_COMPLETION_INDEX)"
  fi
}

environment() {
  [[ $DEVICES == gpu ]] || return 0
  # With the ids given, jax does not ask Kubernetes for them.
  lines 14 "env:" "- name: JAX_LOCAL_DEVICE_IDS" \
    "  value: $(quoted "$(seq -s, 0 $((DEVICES_PER_NODE - 1)))")"
}

arguments() {
  local word
  for word in "$@"; do lines 14 "- $(argument "$word")"; done
}

manifest() {
  cat <<END
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $NAME
END
  if [[ $DEVICES == tpu ]]; then
    # The pods of a run share one slice, which is one pool of nodes.
    lines 2 "annotations:" "  alpha.jobset.sigs.k8s.io/exclusive-topology:\
 cloud.google.com/gke-nodepool"
  fi
  cat <<END
spec:
  failurePolicy:
    maxRestarts: $MAX_RESTARTS
    rules:
    # What podFailurePolicy calls an error; all else starts all pods again.
    - name: error
      action: FailJobSet
      onJobFailureReasons:
      - PodFailurePolicy
  replicatedJobs:
  - name: workers
    replicas: 1
    template:
      spec:
        completionMode: Indexed
        completions: $NODES
        parallelism: $NODES
        backoffLimit: 0
        podFailurePolicy:
          rules:
          # A pod whose node is taken away is no error, whatever its code.
          - action: Count
            onPodConditions:
            - type: DisruptionTarget
              status: "True"
          - action: FailJob
            onExitCodes:
              containerName: train
              operator: In
              values: [1, 2]
        template:
          spec:
            restartPolicy: Never
            terminationGracePeriodSeconds: $GRACE_SECONDS
$(options)
            containers:
            - name: train
              image: $(quoted "$IMAGE")
              command:
              - $(argument "$PYTHON")
              - -m
              - pwl_jax.main
              args:
$(arguments "--config=$CONFIG" "--workdir=$WORKDIR")
$(distribution)
$(arguments "$@")
$(environment)
              resources:
                limits:
                  $resource: $DEVICES_PER_NODE
              volumeMounts:
              - name: runs
                mountPath: $(quoted "$MOUNT")
              - name: memory
                mountPath: /dev/shm
            volumes:
            - name: runs
              persistentVolumeClaim:
                claimName: $(quoted "$CLAIM")
            # What NCCL and libtpu pass data through; the default is too small.
            - name: memory
              emptyDir:
                medium: Memory
END
}

made=$(manifest "$@" | sed '/^$/d')
if [[ $dry_run ]]; then
  echo "$made"
  exit 0
fi

command -v kubectl >/dev/null ||
  fail "there is no kubectl here; install it, or --dry-run"
kubectl=(kubectl)
if [[ ${NAMESPACE:-} ]]; then kubectl+=("--namespace=$NAMESPACE"); fi
# Its name and the conditions that hold; nothing where there is none.
query='{.metadata.name} {.status.conditions[?(@.status=="True")].type}'
state=$(
  "${kubectl[@]}" get jobset "$NAME" --ignore-not-found \
    --output="jsonpath=$query"
)
case "$state " in
  *" Completed "* | *" Failed "*)
    echo "gke.sh: replacing the JobSet $NAME, which has ended" >&2
    "${kubectl[@]}" delete jobset "$NAME" --cascade=foreground
    ;;
  "$NAME "*)
    echo "gke.sh: the JobSet $NAME runs already; to end it:" \
      "${kubectl[*]} delete jobset $NAME" >&2
    exit 0
    ;;
esac
echo "$made" | "${kubectl[@]}" create --filename=-
pod=jobset.sigs.k8s.io/jobset-name=$NAME
pod+=,batch.kubernetes.io/job-completion-index=0
echo "To follow: ${kubectl[*]} logs --follow --selector=$pod"
