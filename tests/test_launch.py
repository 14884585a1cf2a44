"""The launch scripts: what they would do, and what they do with fakes."""

import os
import pathlib
import re
import select
import shlex
import signal
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
LAUNCH = ROOT / "launch"
CLUSTER_COMMANDS = ("gcloud", "kubectl", "srun", "sbatch", "scontrol", "ssh")
CONFIG = "configs/cifar.py:resnet,cifar10"
ARGUMENT = '--config.data.name=arrays:it\'s a, "b" $(c) \\d'
SAVED = 75
DEADLINE = 60  # Seconds; what hangs is an error and not a hanging suite.

# All that a script must be told.
REQUIRED = {
  "local.sh": {"CONFIG": CONFIG, "WORKDIR": "runs/a b"},
  "slurm.sbatch": {"CONFIG": CONFIG, "WORKDIR": "/shared/a b"},
  "gke.sh": {
    "NAME": "pwl",
    "IMAGE": "images/pwl:1",
    "CONFIG": CONFIG,
    "WORKDIR": "/runs/a b",
    "CLAIM": "runs",
    "TPU_TYPE": "tpu-v5-lite-podslice",
    "TPU_TOPOLOGY": "4x4",
  },
  "tpu_pod.sh": {
    "NAME": "pwl",
    "ZONE": "zone-b",
    "ACCELERATOR_TYPE": "v4-32",
    "RUNTIME_VERSION": "image",
    "SHARED": "10.0.0.2:/runs",
    "CONFIG": CONFIG,
    "WORKDIR": "/mnt/pwl/a b",
  },
}
# Without these, installing would need to know the files of this clone.
OPTIONAL = {"tpu_pod.sh": {"REPO": "https://host/pwl.git", "REF": "v1"}}
SCRIPTS = sorted(REQUIRED)
PARTS = ("common.bash", "tpu_worker.bash")


def settings(script, **changes):
  found = REQUIRED[script] | OPTIONAL.get(script, {}) | changes
  return {name: value for name, value in found.items() if value is not None}


@pytest.fixture
def fakes(tmp_path):
  """fakes(name, text): a program of that name, the first on the PATH."""
  folder = tmp_path / "bin"
  folder.mkdir()

  def make(name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path

  for name in CLUSTER_COMMANDS:
    make(name, f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/forbidden\nexit 99\n')
  return make


@pytest.fixture
def launch(fakes, tmp_path):
  """launch(script, arguments, environment): runs it; `start` starts it."""

  def popen(script, *arguments, **environment):
    environment = {
      "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
      "HOME": str(tmp_path),
      "SEEN": str(tmp_path),
    } | environment
    return subprocess.Popen(
      ["bash", str(LAUNCH / script), *arguments],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      cwd=tmp_path,
      env=environment,
      start_new_session=True,
    )

  def run(script, *arguments, **environment):
    with popen(script, *arguments, **environment) as process:
      return finished(process)

  run.start = popen
  return run


def finished(process):
  """The process with its exit code, out and err; its group ended if late."""
  try:
    process.out, process.err = process.communicate(timeout=DEADLINE)
  except subprocess.TimeoutExpired:
    os.killpg(process.pid, signal.SIGKILL)
    raise
  return process


class Pipe:
  """What a fake tells the test, or another fake; waits without sleeping."""

  def __init__(self, path):
    os.mkfifo(path)
    self.descriptor = os.open(path, os.O_RDWR)

  def wait(self):
    assert select.select([self.descriptor], [], [], DEADLINE)[0], "no word came"
    os.read(self.descriptor, 100)
    os.close(self.descriptor)


def calls(tmp_path, pattern):
  """The first group of the pattern in every call that a fake has noted."""
  return re.findall(pattern, (tmp_path / "calls").read_text(), re.MULTILINE)


def dry_words(launch, script, *arguments, **changes):
  done = launch(script, "--dry-run", "--", *arguments, **changes)
  assert done.returncode == 0, done.err
  return shlex.split(done.out, comments=True)


# What holds for every script.


@pytest.mark.parametrize("script", [*SCRIPTS, "tpu_worker.bash"])
def test_it_opens_with_its_usage_and_stops_at_errors(launch, script):
  text = (LAUNCH / script).read_text()
  assert text.startswith("#!/usr/bin/env bash\n# ")
  assert "\nset -euo pipefail\n" in text
  assert os.access(LAUNCH / script, os.X_OK)
  subprocess.run(["bash", "-n", LAUNCH / script], check=True)
  shown = launch(script, "--help")
  assert (shown.returncode, shown.err) == (0, "")
  assert shown.out.splitlines()[0] == text.splitlines()[1][2:]
  assert script in shown.out and "\nset -" not in shown.out


def test_every_script_is_in_this_table_and_in_the_readme():
  found = {path.name for path in LAUNCH.iterdir()}
  assert found == {*SCRIPTS, *PARTS, "README.md"}
  readme = (LAUNCH / "README.md").read_text()
  assert all(script in readme for script in SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_setting_is_in_its_usage(launch, script):
  text = (LAUNCH / script).read_text()
  read = set(re.findall(r"\$\{([A-Z][A-Z_]+):-", text)) | set(REQUIRED[script])
  of_others = {name for name in read if name.startswith(("SLURM_", "JAX_"))}
  usage = launch(script, "--help").out
  assert {name for name in read - of_others if name not in usage} == set()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_dry_run_does_nothing(launch, tmp_path, script):
  before = sorted(tmp_path.iterdir())
  done = launch(script, "--dry-run", "--", ARGUMENT, **settings(script))
  assert (done.returncode, done.err) == (0, "")
  assert CONFIG in done.out
  assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
  "script,setting", [(s, name) for s in SCRIPTS for name in REQUIRED[s]]
)
def test_a_setting_that_is_missing_is_named(launch, script, setting):
  done = launch(script, "--dry-run", **settings(script, **{setting: None}))
  assert (done.returncode, done.out) == (2, "")
  assert re.search(rf"set {setting}\b.*such as {setting}=\S", done.err)


@pytest.mark.parametrize(
  "script,setting,value",
  [
    ("local.sh", "PROCESSES", "0"),
    ("local.sh", "DEVICES", "tpu"),
    ("local.sh", "GRACE_SECONDS", "soon"),
    ("slurm.sbatch", "MAX_RESTARTS", "-1"),
    ("slurm.sbatch", "SETUP", "nowhere.sh"),
    ("gke.sh", "NAME", "Upper"),
    ("gke.sh", "NAME", "a" * 41),
    ("gke.sh", "WORKDIR", "/elsewhere"),
    ("gke.sh", "TPU_TOPOLOGY", "16"),
    ("gke.sh", "TPU_TOPOLOGY", "3x3"),
    ("gke.sh", "DEVICES", "cpu"),
    ("gke.sh", "IMAGE", "a\nb"),
    ("tpu_pod.sh", "WORKDIR", "/home/me"),
    ("tpu_pod.sh", "SHARED", "runs"),
    ("tpu_pod.sh", "ATTEMPTS", "0"),
    ("tpu_pod.sh", "REF", ""),
  ],
)
def test_a_value_that_cannot_be_is_refused(launch, script, setting, value):
  done = launch(script, "--dry-run", **settings(script, **{setting: value}))
  assert (done.returncode, done.out) == (2, "")
  assert setting in done.err


def test_the_flags_are_those_of_main(launch):
  source = (ROOT / "pwl_jax" / "main.py").read_text()
  known = set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source))
  printed = "".join(
    launch(script, "--dry-run", **settings(script, **more)).out
    for script in SCRIPTS
    for more in ({}, {"DEVICES": "gpu", "CUDA_VISIBLE_DEVICES": "0,1"})
  )
  printed += (LAUNCH / "tpu_worker.bash").read_text()
  ours = ("config", "workdir", "distributed", "coordinator_address")
  assert {*ours, "num_processes", "process_id"} <= known
  for flag in ours:
    assert f"--{flag}=" in printed


# local.sh


def test_local_divides_the_gpus(launch):
  words = dry_words(
    launch,
    "local.sh",
    ARGUMENT,
    **settings(
      "local.sh",
      DEVICES="gpu",
      CUDA_VISIBLE_DEVICES="4,5,6,7",
      PORT="1234",
      PYTHON="py",
    ),
  )
  shares = [w for w in words if w.startswith("CUDA_VISIBLE_DEVICES=")]
  assert shares == ["CUDA_VISIBLE_DEVICES=4,5", "CUDA_VISIBLE_DEVICES=6,7"]
  assert words.count("JAX_LOCAL_DEVICE_IDS=0,1") == 2
  first = words[words.index("py") : words.index("&")]
  assert first == [
    *("py", "-m", "pwl_jax.main", f"--config={CONFIG}"),
    *("--workdir=runs/a b", "--coordinator_address=127.0.0.1:1234"),
    *("--num_processes=2", "--process_id=0", ARGUMENT),
  ]


def test_local_refuses_gpus_that_cannot_be_divided(launch):
  changes = {"DEVICES": "gpu", "CUDA_VISIBLE_DEVICES": "0,1,2"}
  done = launch("local.sh", **settings("local.sh", **changes))
  assert done.returncode == 2
  assert "3 GPUs" in done.err and "2 processes" in done.err


FAKE_PYTHON = f"""#!{sys.executable}
import os, pathlib, signal, sys

signal.alarm({DEADLINE})  # Should the script under test not end it.
seen = pathlib.Path(os.environ["SEEN"])
number = [a for a in sys.argv if a.startswith("--process_id=")][0][-1]

def end(code):
  (seen / f"ended{{number}}").write_text(str(os.getpgrp()))
  sys.exit(code)

(seen / f"argv{{number}}").write_text("\\0".join(sys.argv[1:]))
print("out of", number, flush=True)
plan = os.environ["PLAN" + number]
if plan == "deaf":
  signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
  signal.signal(signal.SIGTERM, lambda *_: end({SAVED}))
(seen / f"ready{{number}}").write_text("ready")
if plan.isdigit():
  with open(seen / "ready0") as other:
    other.read(1)  # Not before process 0 listens.
  end(int(plan))
while plan != "done":
  signal.pause()
"""


@pytest.fixture
def local(launch, fakes, tmp_path):
  """local(plan 0, plan 1): local.sh, with a fake for python, started."""
  python = fakes("python", FAKE_PYTHON)
  pipes = [Pipe(tmp_path / f"ready{i}") for i in range(2)]

  def start(*plans, **changes):
    named = {f"PLAN{i}": plan for i, plan in enumerate(plans)}
    chosen = settings("local.sh", PYTHON=str(python), **named, **changes)
    return launch.start("local.sh", ARGUMENT, **chosen)

  start.pipes = pipes
  return start


def test_local_runs_all_processes_with_their_numbers(local, tmp_path):
  with local("done", "done") as process:
    finished(process)
  assert (process.returncode, process.err) == (0, "")
  assert process.out == "out of 0\n"
  log = tmp_path / "runs" / "a b" / "logs" / "process_1.log"
  assert log.read_text() == "out of 1\n"
  argv = [(tmp_path / f"argv{i}").read_text().split("\0") for i in range(2)]
  assert argv[0][-2:] == ["--process_id=0", ARGUMENT]
  assert argv[1][-2:] == ["--process_id=1", ARGUMENT]
  assert argv[0][:-2] == argv[1][:-2]  # The same port, too.


def test_local_ends_the_others_when_one_fails(local, tmp_path):
  with local("wait", "3") as process:
    finished(process)
  assert process.returncode == 3
  assert "process 1 ended with exit code 3" in process.err
  assert "out of 1" in process.err  # The end of its log.
  assert (tmp_path / "ended0").exists()


def test_local_kills_what_does_not_end(local, tmp_path):
  with local("deaf", "3", GRACE_SECONDS="0") as process:
    finished(process)
  assert process.returncode == 3
  assert not (tmp_path / "ended0").exists()


def test_local_does_not_interrupt_the_others_when_one_saved(local, tmp_path):
  """They agreed on it, and a signal now would come amid their saving."""
  with local("wait", str(SAVED), GRACE_SECONDS="0") as process:
    finished(process)
  assert process.returncode == SAVED
  assert not (tmp_path / "ended0").exists()


def test_local_passes_sigterm_on_once(local, tmp_path):
  with local("wait", "wait") as process:
    for pipe in local.pipes:
      pipe.wait()
    os.killpg(process.pid, signal.SIGTERM)  # As a terminal does, with SIGINT.
    finished(process)
  assert process.returncode == SAVED
  groups = {(tmp_path / f"ended{i}").read_text() for i in range(2)}
  assert len(groups) == 2 and str(process.pid) not in groups


# slurm.sbatch


@pytest.fixture
def slurm(launch, fakes, tmp_path):
  """slurm(code): the batch script, whose srun ends with that code."""
  fakes("srun", '#!/bin/sh\necho "srun $*" >> $SEEN/calls\n. $SEEN/plan\n')
  fakes("scontrol", '#!/bin/sh\necho "scontrol $*" >> $SEEN/calls\n')

  def run(plan, **changes):
    chosen = settings("slurm.sbatch", SLURM_JOB_ID="7", **changes)
    (tmp_path / "plan").write_text(plan)
    return launch("slurm.sbatch", **chosen)

  return run


@pytest.mark.parametrize(
  "plan,restarts,again",
  [
    ("exit 75", "0", True),
    ("exit 75", "100", False),
    ("exit 1", "0", False),
    ("exit 0", "0", False),
    ("kill -s TERM $PPID; exit 75", "0", False),  # Cancelled or preempted.
  ],
)
def test_slurm_requeues_what_saved(slurm, tmp_path, plan, restarts, again):
  done = slurm(plan, SLURM_RESTART_COUNT=restarts)
  assert calls(tmp_path, r"^(scontrol .*)$") == again * ["scontrol requeue 7"]
  assert done.returncode == (0 if again else int(plan[-2:]))


def test_slurm_runs_the_command_on_all_tasks(launch):
  chosen = settings("slurm.sbatch", PYTHON="py")
  words = dry_words(launch, "slurm.sbatch", ARGUMENT, **chosen)
  assert words[0] == "srun"
  assert words[words.index("py") : words.index("scontrol")] == [
    *("py", "-m", "pwl_jax.main", f"--config={CONFIG}"),
    *("--workdir=/shared/a b", "--distributed=on", ARGUMENT),
  ]


@pytest.mark.parametrize(
  "tasks,told", [("2", ["JAX_LOCAL_DEVICE_IDS=0,1,2,3"]), ("8", [])]
)
def test_slurm_gives_a_task_its_gpus(launch, tasks, told):
  cluster = {"SLURM_JOB_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4"}
  chosen = settings("slurm.sbatch", SLURM_NTASKS=tasks, **cluster)
  words = dry_words(launch, "slurm.sbatch", **chosen)
  assert [w for w in words if w.startswith("JAX_LOCAL")] == told
  refused = launch(
    "slurm.sbatch", "--dry-run", **chosen | {"SLURM_NTASKS": "4"}
  )
  assert refused.returncode == 2 and "--ntasks-per-node=4" in refused.err


def test_slurm_needs_slurm(launch):
  done = launch("slurm.sbatch", **settings("slurm.sbatch"))
  assert done.returncode == 2 and "sbatch launch/slurm.sbatch" in done.err


# gke.sh


def manifest(launch, *arguments, **changes):
  chosen = settings("gke.sh", **changes)
  done = launch("gke.sh", "--dry-run", "--", *arguments, **chosen)
  assert done.returncode == 0, done.err
  return yaml.safe_load(done.out)


def job_and_pod(made):
  (workers,) = made["spec"]["replicatedJobs"]
  job = workers["template"]["spec"]
  return job, job["template"]["spec"]


def test_gke_asks_for_the_nodes_of_a_tpu_slice(launch):
  made = manifest(launch, ARGUMENT, SPOT="1", TPU_TOPOLOGY="2x4x4")
  job, pod = job_and_pod(made)
  assert (made["kind"], made["metadata"]["name"]) == ("JobSet", "pwl")
  assert job["completions"] == job["parallelism"] == 8
  assert pod["nodeSelector"] == {
    "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
    "cloud.google.com/gke-tpu-topology": "2x4x4",
    "cloud.google.com/gke-spot": "true",
  }
  (container,) = pod["containers"]
  assert container["resources"]["limits"] == {"google.com/tpu": 4}
  assert container["command"] == ["python", "-m", "pwl_jax.main"]
  assert container["args"] == [
    *(f"--config={CONFIG}", "--workdir=/runs/a b", "--distributed=on"),
    ARGUMENT.replace("$(", "$$("),  # Which Kubernetes reads as "$(".
  ]


def test_gke_tells_gpu_processes_where_they_meet(launch):
  gpu = {"DEVICES": "gpu", "NODES": "2", "DEVICES_PER_NODE": "8"}
  job, pod = job_and_pod(manifest(launch, **gpu, TPU_TYPE=None))
  (container,) = pod["containers"]
  assert job["completions"] == 2 and "nodeSelector" not in pod
  assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
  assert container["args"][2:] == [
    "--coordinator_address=pwl-workers-0-0.pwl:1234",
    "--num_processes=2",
    "--process_id=$(JOB_COMPLETION_INDEX)",
  ]


def test_gke_restarts_what_saved_and_not_what_failed(launch):
  made = manifest(launch, MAX_RESTARTS="5")
  job, pod = job_and_pod(made)
  assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
  assert made["spec"]["failurePolicy"]["maxRestarts"] == 5
  (rule,) = made["spec"]["failurePolicy"]["rules"]
  assert rule["action"] == "FailJobSet"
  assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
  evicted, failed = job["podFailurePolicy"]["rules"]
  assert (evicted["action"], failed["action"]) == ("Count", "FailJob")
  assert failed["onExitCodes"]["operator"] == "In"
  assert SAVED not in failed["onExitCodes"]["values"]


@pytest.mark.parametrize(
  "state,verbs",
  [
    ("", ["get", "create"]),
    ("pwl Failed", ["get", "delete", "create"]),
    ("pwl StartupPolicyCompleted Completed", ["get", "delete", "create"]),
    ("pwl StartupPolicyCompleted", ["get"]),
    ("pwl ", ["get"]),
  ],
)
def test_gke_replaces_what_has_ended(launch, fakes, tmp_path, state, verbs):
  fakes(
    "kubectl",
    '#!/bin/sh\necho "$*" >> $SEEN/calls\n'
    'case $1 in get) echo "$STATE" ;; create) cat > $SEEN/made ;; esac\n',
  )
  done = launch("gke.sh", STATE=state, **settings("gke.sh"))
  assert done.returncode == 0, done.err
  assert calls(tmp_path, r"^(\w+)") == verbs
  if "create" in verbs:
    made = yaml.safe_load((tmp_path / "made").read_text())
    assert made == manifest(launch)


# tpu_pod.sh

FAKE_GCLOUD = r"""#!/usr/bin/env bash
echo "$*" >> "$SEEN/calls"
case "$*" in
  *" list "*) cat "$SEEN/list" ;;
  *" create "*) printf 'pwl\tREADY\n' > "$SEEN/list" ;;
  *" delete "*) rm -f "$SEEN/installed"; : > "$SEEN/list" ;;
  *"bash tpu_worker.bash installed "*) [[ -e $SEEN/installed ]] ;;
  *"bash tpu_worker.bash install "*) touch "$SEEN/installed" ;;
  *"bash tpu_worker.bash train "*)
    read -r code state < "$SEEN/plan"
    sed -i 1d "$SEEN/plan"
    if [[ $state == waits ]]; then
      echo ready > "$SEEN/ready0"
      read -r _ < "$SEEN/stopped"
    elif [[ $state ]]; then
      printf 'pwl\t%s\n' "$state" > "$SEEN/list"
    fi
    exit "$code"
    ;;
  *"bash tpu_worker.bash stop"*) echo > "$SEEN/stopped" ;;
esac
"""
VERBS = r"(?:tpu-vm|\.bash) (create|delete|install|mount|train|stop)\b"


@pytest.fixture
def pod(launch, fakes, tmp_path):
  """pod(plan, TPUs there are): starts tpu_pod.sh; a line of plan a run."""
  fakes("gcloud", FAKE_GCLOUD)

  def start(plan, *, there="other\tREADY\n", **changes):
    (tmp_path / "plan").write_text(plan)
    (tmp_path / "list").write_text(there)
    chosen = settings("tpu_pod.sh", RETRY_SECONDS="0", **changes)
    return launch.start("tpu_pod.sh", **chosen)

  return start


FRESH = ["create", "install", "mount"]
GOES_ON = ["mount", "train"]


@pytest.mark.parametrize(
  "plan,there,code,verbs",
  [
    ("0", "", 0, [*FRESH, "train"]),
    ("0", "pwl\tREADY\n", 0, ["install", "mount", "train"]),
    ("75\n0", "", 0, [*FRESH, "train", *GOES_ON]),
    ("255\n0", "", 0, [*FRESH, "train", *GOES_ON]),  # A lost connection.
    ("1 PREEMPTED\n0", "", 0, 2 * [*FRESH, "train", "delete"]),
    ("0", "pwl\tPREEMPTED\n", 0, ["delete", *FRESH, "train"]),
    ("1", "", 1, [*FRESH, "train"]),
    ("75\n75", "", SAVED, [*FRESH, "train", *GOES_ON]),
  ],
)
def test_pod_goes_on_until_it_is_done(pod, tmp_path, plan, there, code, verbs):
  with pod(plan, there=there, ATTEMPTS="2") as process:
    finished(process)
  assert process.returncode == code, process.err
  if plan.startswith("1 PREEMPTED"):
    verbs = verbs[:-1]  # The last one is not deleted.
  assert calls(tmp_path, VERBS) == verbs
  assert "to delete it: gcloud" in process.err


def test_pod_lets_the_workers_save(pod, tmp_path):
  ready = Pipe(tmp_path / "ready0")
  os.mkfifo(tmp_path / "stopped")
  with pod("75 waits") as process:
    ready.wait()
    process.send_signal(signal.SIGTERM)
    finished(process)
  assert process.returncode == SAVED, process.err
  assert calls(tmp_path, VERBS) == [*FRESH, "train", "stop"]


def test_pod_prints_commands_that_a_shell_reads_back(launch):
  chosen = settings("tpu_pod.sh", SPOT="1", SETUP="a && b")
  words = dry_words(launch, "tpu_pod.sh", ARGUMENT, **chosen)
  assert "--spot" in words and "--accelerator-type=v4-32" in words
  remote = [
    shlex.split(word.removeprefix("--command="))
    for word in words
    if word.startswith("--command=")
  ]
  assert ["bash", "tpu_worker.bash", "mount", "10.0.0.2:/runs", "/mnt/pwl"] in (
    remote
  )
  assert remote[-1] == [
    *("bash", "tpu_worker.bash", "train", f"--config={CONFIG}"),
    *("--workdir=/mnt/pwl/a b", ARGUMENT),
  ]
  assert any("SETUP=a && b" in command for command in remote)


def test_pod_knows_what_is_installed_by_its_contents(tmp_path, launch):
  clone = tmp_path / "clone"
  (clone / "launch").mkdir(parents=True)
  for name in ("tpu_pod.sh", *PARTS):
    (clone / "launch" / name).write_bytes((LAUNCH / name).read_bytes())
  script = str(clone / "launch" / "tpu_pod.sh")

  def version():
    chosen = settings("tpu_pod.sh", REPO=".", REF=None)
    words = dry_words(launch, script, **chosen)
    return re.search(r"installed (\w+)", " ".join(words))[1]

  refused = launch(script, **settings("tpu_pod.sh", REPO=".", REF=None))
  assert refused.returncode == 2 and "git clone" in refused.err
  subprocess.run(["git", "init", "--quiet", clone], check=True)
  (clone / ".gitignore").write_text("ignored\n")
  (clone / "a file").write_text("1")
  first = version()
  (clone / "ignored").write_text("anything")
  assert version() == first
  (clone / "a file").write_text("2")
  assert version() != first


def test_a_worker_ends_the_run_before_the_next(launch, fakes, tmp_path):
  """A run that lost its connection holds the TPU until it is ended."""
  house = tmp_path / "pwl_jax"
  (house / "source").mkdir(parents=True)
  (house / "venv" / "bin").mkdir(parents=True)
  python = fakes("python", FAKE_PYTHON)
  python.rename(house / "venv" / "bin" / "python")
  pipes = [Pipe(tmp_path / f"ready{i}") for i in range(2)]
  worker = ["tpu_worker.bash", "train"]
  with launch.start(*worker, "--process_id=0", PLAN0="wait") as first:
    pipes[0].wait()
    with launch.start(*worker, "--process_id=1", PLAN1="done") as again:
      finished(first)
      finished(again)
  assert (first.returncode, again.returncode) == (SAVED, 0)
