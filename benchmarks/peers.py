"""Measures SKNet-50 beside its peers in one run and writes results/<name>.csv.

    python benchmarks/peers.py --peer-python /path/to/venv/bin/python

The interpreter of --peer-python runs the peers and needs
`pip install torch==2.13.0 onnxruntime openvino`; the runtimes get the model as
`sknet export onnx --fold-bn` writes it. Every measurement is a process of its own, so
that the thread pools of two engines never meet, and the engines take turns, so that a
change of the machine's speed touches all alike. Rates are medians over the rounds of
the median step.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import caffe
from sknet.convert.export import export_onnx
from sknet.models import create_model, deploy

HERE = Path(__file__).parent
COLUMNS = (
    *("engine", "version", "task", "batch", "img_per_s", "min", "max"),
    *("peak_mb", "rounds"),
)
# (task, batch, unmeasured steps, measured steps)
TASKS = (("inference", 1, 5, 20), ("inference", 16, 1, 4), ("training", 16, 1, 3))
OWN = "caffe_sknet50.py"
_ONNX, _TORCH = "onnx_sknet50.py", "pytorch_network.py"
# (script, tasks, options)
ENGINES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "sknet-caffe": (OWN, ("inference", "training"), {"lean": True}),
    "sknet-caffe bf16": (
        OWN,
        ("inference", "training"),
        {"lean": True, "bf16": True},
    ),
    "sknet-caffe layer by layer": (OWN, ("inference", "training"), {"lean": False}),
    "openvino": (_ONNX, ("inference",), {"runtime": "openvino"}),
    "openvino bf16": (_ONNX, ("inference",), {"runtime": "openvino", "bf16": True}),
    "onnxruntime": (_ONNX, ("inference",), {"runtime": "onnxruntime"}),
    "pytorch channels-last": (
        _TORCH,
        ("inference", "training"),
        {"channels_last": True},
    ),
    "pytorch bf16 channels-last": (
        _TORCH,
        ("inference", "training"),
        {"channels_last": True, "bf16": True},
    ),
    "pytorch NCHW": (_TORCH, ("inference", "training"), {"channels_last": False}),
}


def main() -> None:
    """Runs all jobs in turns and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "sknet50_peers.csv"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        batches = {batch for task, batch, *_ in TASKS if task == "inference"}
        results = measure(arguments, export(Path(folder), batches))
    write(arguments.output, results, arguments.threads)
    print(arguments.output.read_text())


def export(folder: Path, batches: set[int], model: str = "sknet50") -> dict[int, str]:
    """Writes a model as ONNX for each batch."""
    models = {}
    for batch in batches:
        net = caffe.Net(deploy(create_model(model), batch), caffe.TEST)
        for blobs in net.params.values():
            if len(blobs) == 4:
                blobs[3].data[...] = 1  # untrained variances
        path = folder / f"{model}_{batch}.onnx"
        export_onnx(net, path, fold=True)
        models[batch] = str(path)
    return models


def measure(
    arguments: argparse.Namespace, models: dict[int, str]
) -> dict[tuple[str, str, int], list[dict[str, Any]]]:
    """Runs all jobs in turns."""
    results: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for turn in range(arguments.rounds):
        for task, batch, warmup, steps in TASKS:
            for engine in arguments.engines:
                script, tasks, options = ENGINES[engine]
                if task not in tasks:
                    continue
                python = sys.executable if script == OWN else arguments.peer_python
                job = {
                    "models": models,
                    "task": task,
                    "batch": batch,
                    "warmup": warmup,
                    "steps": steps,
                    "threads": arguments.threads,
                    "bf16": False,
                    **options,
                }
                result = run(python, HERE / script, job, arguments.threads)
                results.setdefault((engine, task, batch), []).append(result)
                print(
                    f"round {turn + 1}  {task:9} batch {batch:2}  {engine:26}"
                    f"{result['rate']:8.2f} img/s",
                    flush=True,
                )
    return results


def run(python: str, script: Path, job: dict[str, Any], threads: int) -> dict[str, Any]:
    """One measurement in a fresh process."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "GLOG_minloglevel": "2",
    }
    done = subprocess.run(
        [python, str(script), json.dumps(job)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script.name} failed with {job}:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def write(path: Path, results: dict[Any, list[dict[str, Any]]], threads: int) -> None:
    """The CSV file, behind a header that describes the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        for line in machine(threads):
            file.write(f"# {line}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (engine, task, batch), runs in results.items():
            rates = [run["rate"] for run in runs]
            writer.writerow(
                (
                    engine,
                    runs[0]["version"],
                    task,
                    batch,
                    f"{statistics.median(rates):.2f}",
                    f"{min(rates):.2f}",
                    f"{max(rates):.2f}",
                    f"{max(run['peak_mb'] for run in runs):.0f}",
                    len(runs),
                )
            )


def machine(threads: int) -> list[str]:
    """What the numbers depend on."""
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    extensions = [
        f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        "SKNet-50, 224x224, float32 unless bf16 is said, synthetic images; training "
        "is forward, backward and SGD update",
        f"date: {time.strftime('%Y-%m-%d')}",
        f"cpu: {fields.get('model name', platform.machine())} ({' '.join(extensions)})",
        f"threads: {threads}",
        f"memory: {memory:.0f} GiB",
        f"system: {platform.system()} {platform.release()}, Python "
        f"{platform.python_version()}",
    ]


if __name__ == "__main__":
    main()
