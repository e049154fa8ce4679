"""Measures networks on a GPU beside PyTorch and TensorRT: a JSON file and tables.

    python benchmarks/gpu_peers.py --seconds 240 --output gpu.json

The interpreter of --peer-python runs the peers, by default this one; what it lacks is
"not measured". Rows are measured in the order of their weight until the time is over;
the rest is "not measured", too. The file is written anew behind every measurement, so
that an interrupted run loses none. Each measurement is a process of its own.

Rates are of the median step, in images a second. An inference ends when the scores are
on the host; training is forward, backward and SGD update. Images are synthetic and lie
on the GPU. Memory is the most that an engine had in use, without the driver's own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import caffe
from caffe.files import write_atomically
from sknet.models import create_model, deploy
from sknet.text import table

HERE = Path(__file__).parent
OWN = "sknet-caffe"
EAGER, COMPILED = "PyTorch eager", "PyTorch compiled"
GRAPHS, TENSORRT = "PyTorch compiled, graphs", "TensorRT"
# Script, and whether it is for inference alone; options.
ENGINES: dict[str, tuple[str, bool, dict[str, Any]]] = {
    OWN: ("caffe_on_gpu.py", False, {}),
    EAGER: ("pytorch_network.py", False, {"channels_last": True}),
    COMPILED: (
        "pytorch_network.py",
        False,
        {"channels_last": True, "compile": "default"},
    ),
    GRAPHS: (
        "pytorch_network.py",
        True,
        {"channels_last": True, "compile": "reduce-overhead"},
    ),
    TENSORRT: ("tensorrt_network.py", True, {}),
}
NOT_MEASURED = "not measured"
OVER = "the time was over"
# A program that has begun may take so much longer than the time that is left.
GRACE_S = 5


@dataclass(frozen=True)
class Task:
    """What is measured of a network, and how often."""

    name: str
    batch: int
    precision: str


@dataclass(frozen=True)
class Plan:
    """Everything that is measured.

    Attributes:
        rows: Networks and tasks, the most important first.
        kernels: The job of `gpu_kernels.py`.
        first: How many rows come before the kernels.
        repeat: Whether steps are repeated until their time is known well.
    """

    rows: list[tuple[str, Task]]
    kernels: dict[str, Any]
    first: int = 1
    repeat: bool = True


def whole_plan() -> Plan:
    """All networks, batches and precisions."""
    networks = ("sknet50", "sknet101", "resnext50", "senet50")
    sizes = (
        *(("training", 128), ("inference", 128), ("inference", 1)),
        *(("training", 64), ("inference", 32)),
    )
    order = [
        (network, Task(*size, precision))
        for precisions, some in (
            (("bf16",), networks[:1]),
            (("float32", "tf32", "fp16"), networks[:1]),
            (("bf16", "float32", "tf32", "fp16"), networks[1:]),
        )
        for precision in precisions
        for network in some
        for size in sizes
    ]
    shapes = [[128, 256, 56, 56], [128, 512, 28, 28], [128, 1024, 14, 14]]
    kernels = {
        "shapes": [*shapes, [128, 2048, 7, 7]],
        "precisions": ["bf16", "float32", "tf32", "fp16"],
        "kernel_precisions": ["bf16", "float32"],
        "side": 8192,
        "runs": 20,
    }
    return Plan(order, kernels)


def quick_plan() -> Plan:
    """A small network once, to see that the programs work."""
    tasks = (
        Task("training", 2, "bf16"),
        Task("inference", 2, "bf16"),
        Task("inference", 1, "float32"),
    )
    kernels = {
        "shapes": [[1, 32, 4, 4]],
        "precisions": ["bf16", "float32"],
        "kernel_precisions": ["bf16", "float32"],
        "side": 16,
        "runs": 1,
    }
    rows = [("sknet_digits", task) for task in tasks]
    return Plan(rows, kernels, repeat=False)


@dataclass(frozen=True)
class Target:
    """A ratio that the project has set itself.

    Attributes:
        name: What is compared.
        task: Of SKNet-50.
        peer: The engine that it is compared with.
        bound: The ratio.
        memory: Whether it is of memory, and at most the bound; else of rates, and at
            least.
    """

    name: str
    task: Task
    peer: str
    bound: float
    memory: bool = False


_TRAINING = Task("training", 128, "bf16")
_LARGE, _SINGLE = Task("inference", 128, "bf16"), Task("inference", 1, "bf16")
TARGETS = (
    Target("training BF16 128", _TRAINING, EAGER, 1.5),
    Target("training BF16 128", _TRAINING, COMPILED, 1.15),
    Target("inference BF16 128", _LARGE, COMPILED, 1.3),
    Target("inference BF16 1", _SINGLE, COMPILED, 1.5),
    Target("inference BF16 1", _SINGLE, GRAPHS, 1.0),
    Target("memory, training BF16 128", _TRAINING, EAGER, 0.7, memory=True),
)
KERNEL_TARGET = 0.85


@dataclass
class Report:
    """What is known so far, and where it is written."""

    path: Path
    machine: dict[str, Any]
    results: list[dict[str, Any]] = field(default_factory=list)
    kernels: dict[str, Any] = field(default_factory=lambda: {NOT_MEASURED: OVER})

    def write(self) -> None:
        """Writes the file anew."""
        content = {
            "machine": self.machine,
            "networks": self.results,
            "kernels": self.kernels,
            "targets": list(self.targets()),
        }
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")

    def of(self, network: str, task: Task, engine: str) -> dict[str, Any]:
        """What an engine did, or why it was not measured."""
        for row in self.results:
            if row["network"] == network and row["task"] == vars(task):
                found: dict[str, Any] = row["engines"].get(engine, {})
                return found
        return {NOT_MEASURED: "not planned"}

    def targets(self) -> Iterator[dict[str, Any]]:
        """Each target beside what was measured."""
        for target in TARGETS:
            ours = self.of("sknet50", target.task, OWN)
            peers = self.of("sknet50", target.task, target.peer)
            what = "peak_mb" if target.memory else "rate"
            measured = (
                ours[what] / peers[what] if what in ours and what in peers else None
            )
            if measured is None:
                met = False
            elif target.memory:
                met = measured <= target.bound
            else:
                met = measured >= target.bound
            yield {
                "name": f"{target.name} beside {target.peer}",
                "target": f"{'<=' if target.memory else '>='} {target.bound}",
                "measured": measured,
                "met": met,
            }
        rows = self.kernels.get("rows", ())
        slowest = min((r["of_copy"] for r in rows if r["elementwise"]), default=None)
        yield {
            "name": "slowest element-wise kernel beside the copy",
            "target": f">= {KERNEL_TARGET}",
            "measured": slowest,
            "met": slowest is not None and slowest >= KERNEL_TARGET,
        }

    def tables(self) -> str:
        """All as text."""
        return "\n\n".join([*self._networks(), *self._kernels(), self._targets()])

    def _networks(self) -> Iterator[str]:
        for what, title, digits in (
            ("rate", "images/s", 1),
            ("peak_mb", "most memory in use, MiB", 0),
        ):
            rows = []
            for row in self.results:
                task = row["task"]
                names = (row["network"], task["name"], str(task["batch"]))
                cells = (_cell(row["engines"][e], what, digits) for e in ENGINES)
                rows.append((*names, task["precision"], *cells))
            head = ("network", "task", "batch", "precision", *ENGINES)
            yield f"{title}\n" + table(head, rows)

    def _kernels(self) -> Iterator[str]:
        if NOT_MEASURED in self.kernels:
            yield f"kernels: {NOT_MEASURED}, {self.kernels[NOT_MEASURED]}"
            return
        products = self.kernels["products_tflop_per_s"]
        yield "\n".join(
            [
                f"copy: {self.kernels['copy_gb_per_s']:.0f} GB/s",
                *(f"products, {p}: {products[p]:.1f} TFLOP/s" for p in products),
            ]
        )
        rows = [
            (
                row["kernel"],
                row["precision"],
                "x".join(map(str, row["shape"])),
                row["pass"],
                f"{row['ms']:.4f}",
                f"{row['gb_per_s']:.0f}",
                f"{100 * row['of_copy']:.0f} %",
            )
            for row in self.kernels["rows"]
        ]
        head = ("kernel", "precision", "shape", "pass", "ms", "GB/s", "of the copy")
        yield table(head, rows)

    def _targets(self) -> str:
        rows = [
            (
                target["name"],
                target["target"],
                NOT_MEASURED
                if target["measured"] is None
                else f"{target['measured']:.2f}"
                + (" met" if target["met"] else " not met"),
            )
            for target in self.targets()
        ]
        return table(("ratio, of SKNet-50", "target", "measured"), rows)


def _cell(result: dict[str, Any], what: str, digits: int) -> str:
    return f"{result[what]:.{digits}f}" if what in result else NOT_MEASURED


def main() -> None:
    """Measures what there is time for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument(
        "--quick", action="store_true", help="a small network once, without meaning"
    )
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    arguments = parser.parse_args()
    deadline = time.monotonic() + arguments.seconds
    plan = quick_plan() if arguments.quick else whole_plan()
    peers = Peers(arguments.peer_python)
    report = Report(arguments.output, machine(peers))
    for network, task in plan.rows:
        engines = {
            engine: {NOT_MEASURED: OVER if inference_too(engine, task) else "for none"}
            for engine in ENGINES
        }
        row = {"network": network, "task": vars(task), "engines": engines}
        report.results.append(row)
    report.write()
    with tempfile.TemporaryDirectory() as folder:
        models = Models(Path(folder))
        for index, row in enumerate(report.results):
            if index == plan.first:
                report.kernels = run(
                    sys.executable, "gpu_kernels.py", plan.kernels, deadline
                )
                report.write()
            measure_row(row, plan.repeat, peers, models, deadline, report)
    print(report.tables())
    print(f"\nwritten to {arguments.output}")


def inference_too(engine: str, task: Task) -> bool:
    """Whether the engine does such a task at all."""
    return task.name == "inference" or not ENGINES[engine][1]


class Peers:
    """What the interpreter of the peers has."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.versions = {
            name: self._ask(code)
            for name, code in {
                "torch": "import torch; assert torch.cuda.is_available(); "
                "print(torch.__version__)",
                "tensorrt": "import onnx, tensorrt, torch; "
                "assert torch.cuda.is_available(); print(tensorrt.__version__)",
            }.items()
        }

    def _ask(self, code: str) -> str:
        done = subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=False
        )
        return "" if done.returncode else done.stdout.strip()

    def lack(self, engine: str) -> str:
        """Why this engine cannot be measured; "" if it can."""
        if engine == OWN:
            return ""
        package = "tensorrt" if engine == TENSORRT else "torch"
        missing = f"{package} that uses a GPU is not installed"
        return "" if self.versions[package] else missing


class Models:
    """The networks as ONNX files, written when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, network: str, batch: int) -> str:
        """The file for a batch."""
        path = self._folder / f"{network}_{batch}.onnx"
        if not path.exists():
            from sknet.convert.export import export_onnx

            net = caffe.Net(deploy(create_model(network), batch), caffe.TEST)
            for blobs in net.params.values():
                if len(blobs) == 4:
                    blobs[3].data[...] = 1  # untrained variances
            export_onnx(net, path, fold=True)
        return str(path)


def measure_row(
    row: dict[str, Any],
    repeat: bool,
    peers: Peers,
    models: Models,
    deadline: float,
    report: Report,
) -> None:
    """Has all engines do a task of a network."""
    network, task = row["network"], Task(**row["task"])
    small = task.batch < 32
    for engine, (script, _, options) in ENGINES.items():
        if not inference_too(engine, task):
            continue
        if lack := peers.lack(engine):
            row["engines"][engine] = {NOT_MEASURED: lack}
            continue
        if time.monotonic() > deadline:
            continue
        job = {
            "network": network,
            "gpu": True,
            "task": task.name,
            "batch": task.batch,
            "precision": task.precision,
            "warmup": (20 if small else 5) if repeat else 1,
            "steps": 7 if repeat else 1,
            "block": (20 if small else 3) if repeat else 1,
            **options,
        }
        if engine == TENSORRT:
            batch = str(task.batch)
            job["models"] = {batch: models.path(network, task.batch)}
        python = sys.executable if engine == OWN else peers.python
        result = run(python, script, job, deadline)
        row["engines"][engine] = result
        report.write()
        told = f"{result['rate']:.1f} images/s" if "rate" in result else str(result)
        print(
            f"{network} {task.name} {task.batch} {task.precision}, {engine}: {told}",
            flush=True,
        )


def run(
    python: str, script: str, job: dict[str, Any], deadline: float
) -> dict[str, Any]:
    """What a program measured, or why it did not."""
    left = deadline - time.monotonic()
    if left <= 0:
        return {NOT_MEASURED: OVER}
    try:
        done = subprocess.run(
            [python, str(HERE / script), json.dumps(job)],
            env={**os.environ, "GLOG_minloglevel": "2"},
            capture_output=True,
            text=True,
            timeout=left + GRACE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {NOT_MEASURED: OVER}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {NOT_MEASURED: f"failed with status {done.returncode}: {last}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def machine(peers: Peers) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "gpu": _gpu(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sknet-caffe": caffe.__version__,
        **{name: version or "none" for name, version in peers.versions.items()},
    }


def _gpu() -> str:
    """Name, driver and memory, as the driver's tool says."""
    query = "--query-gpu=name,driver_version,memory.total"
    try:
        done = subprocess.run(
            ["nvidia-smi", "--id=0", query, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "emulated" if caffe._caffe.device_count() else "none"
    return done.stdout.strip()


if __name__ == "__main__":
    main()
