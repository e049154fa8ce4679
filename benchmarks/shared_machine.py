"""Measures how much speed is left where others use the same processor cores.

    python benchmarks/shared_machine.py --peer-python /path/to/venv/bin/python

For each engine and task the images a second that it does alone (idle), beside one busy
process (busy), beside a second process that does the same (twin: the mean of both), and
inside a quota of three quarters of the cores (quota: where control groups can be made,
which takes root); and what share of the idle speed that is. Engines choose their own
number of threads and way of waiting, as they do for their users. Writes
results/shared_machine.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers import HERE, OWN, export, machine

_ONNX = "onnx_sknet50.py"
# (script, options)
ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "sknet-caffe": (OWN, {"lean": True}),
    "openvino": (_ONNX, {"runtime": "openvino"}),
    "onnxruntime": (_ONNX, {"runtime": "onnxruntime"}),
    "opencv": (_ONNX, {"runtime": "opencv"}),
}
TASKS: dict[str, dict[str, Any]] = {
    "inference": {"batch": 1, "model": "sknet50", "warmup": 10, "for_s": 6},
    "inference of sknet26": {"batch": 1, "model": "sknet26", "warmup": 10, "for_s": 6},
    "training": {"batch": 4, "model": "sknet50", "warmup": 1, "for_s": 10},
}
SITUATIONS = ("idle", "busy", "twin", "quota")


def main() -> None:
    """Runs all in turns and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument(
        "--situations", nargs="+", choices=SITUATIONS, default=SITUATIONS
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "shared_machine.csv"
    )
    arguments = parser.parse_args()
    rates: dict[tuple[str, str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = {
            model: export(Path(folder), {1}, model) for model in ("sknet50", "sknet26")
        }
        for turn in range(arguments.rounds):
            for task in arguments.tasks:
                for situation in arguments.situations:
                    for engine in arguments.engines:
                        if task == "training" and ENGINES[engine][0] != OWN:
                            continue
                        job = job_of(engine, task, models)
                        python = sys.executable
                        if ENGINES[engine][0] != OWN:
                            python = arguments.peer_python
                        rate = run(situation, python, ENGINES[engine][0], job)
                        if rate is None:
                            continue
                        rates.setdefault((engine, task, situation), []).append(rate)
                        print(
                            f"round {turn + 1}  {task:20}  {situation:5}  {engine:12}"
                            f"{rate:8.2f} img/s",
                            flush=True,
                        )
    write(arguments.output, rates)
    print(arguments.output.read_text())


def job_of(engine: str, task: str, models: dict[str, dict[int, str]]) -> dict[str, Any]:
    """What the measured script reads."""
    return {
        **TASKS[task],
        "models": models[TASKS[task]["model"]],
        "task": task.split()[0],
        "threads": 0,
        "bf16": False,
        **ENGINES[engine][1],
    }


def run(situation: str, python: str, script: str, job: dict[str, Any]) -> float | None:
    """Steps a second in this situation; None where it cannot be made."""
    command = [python, str(HERE / script), json.dumps(job)]
    if situation == "busy":
        with beside([sys.executable, "-c", "while True: pass"]):
            return rate_of([command])
    if situation == "twin":
        return rate_of([command, command])
    if situation == "quota":
        quota = 0.75 * len(os.sched_getaffinity(0))
        with group_with_quota(quota) as group:
            return None if group is None else rate_of([command], group)
    return rate_of([command])


@contextlib.contextmanager
def beside(command: list[str]) -> Iterator[None]:
    """A process that runs meanwhile."""
    other = subprocess.Popen(command)
    try:
        yield
    finally:
        other.kill()
        other.wait()


@contextlib.contextmanager
def group_with_quota(cores: float) -> Iterator[Path | None]:
    """A control group that may use so many cores; None where none can be made."""
    parents = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
    parent = next((p for p in parents if p.is_dir()), parents[1])
    group = parent / f"sknet-caffe-benchmark-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{round(cores * 100000)} 100000")
        else:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(round(cores * 100000)))
        yield group
    except OSError:
        yield None
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def rate_of(commands: list[list[str]], group: Path | None = None) -> float:
    """The mean rate of processes that run at once."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OMP_")
    }
    environment["GLOG_minloglevel"] = "2"
    if group is not None:
        enter = f'echo $$ > "{group}/cgroup.procs"; exec "$@"'
        commands = [["sh", "-c", enter, "sh", *command] for command in commands]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    rates = []
    for command, process in zip(commands, running, strict=True):
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(f"failed: {' '.join(command)}")
        rates.append(json.loads(output.splitlines()[-1])["rate"])
    return statistics.mean(rates)


def write(path: Path, rates: dict[tuple[str, str, str], list[float]]) -> None:
    """The CSV file, behind a header that describes the machine."""
    with path.open("w", newline="") as file:
        for line in machine(len(os.sched_getaffinity(0))):
            file.write(f"# {line}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("engine", "task", "situation", "img_per_s", "of_idle", "min", "max")
        )
        for (engine, task, situation), values in rates.items():
            idle = rates.get((engine, task, "idle"))
            share = (
                statistics.median(values) / statistics.median(idle) if idle else None
            )
            writer.writerow(
                (
                    engine,
                    task,
                    situation,
                    f"{statistics.median(values):.2f}",
                    share,
                    f"{min(values):.2f}",
                    f"{max(values):.2f}",
                )
            )


if __name__ == "__main__":
    main()
