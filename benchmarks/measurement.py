"""What the measured scripts share: a job from the command line, timing, the result."""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def job() -> dict[str, Any]:
    """The job, one JSON object, as `peers.py` gives it."""
    described: dict[str, Any] = json.loads(sys.argv[1])
    return described


def measure(job: dict[str, Any], step: Callable[[], object], version: str) -> None:
    """Does the job's steps and prints the rate, the peak of memory and the version.

    `for_s`: the mean over so many seconds, instead of the median of `steps`.
    """
    for _ in range(job["warmup"]):
        step()
    if "for_s" in job:
        took = mean_step_s(step, job["for_s"])
    else:
        took = median_step_s(step, job["steps"])
    result = {
        "rate": job["batch"] / took,
        "peak_mb": peak_mb(),
        "version": version,
    }
    print(json.dumps(result))


def median_step_s(step: Callable[[], object], steps: int) -> float:
    """What a step takes on a machine where nothing else runs."""
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def mean_step_s(step: Callable[[], object], for_s: float) -> float:
    """What a step takes where others run, too: some steps are held up, and count."""
    steps = 0
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < for_s:
        step()
        steps += 1
    return passed / steps


def peak_mb() -> float:
    """The most memory this program has had; getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024


def measure_blocks(
    job: dict[str, Any],
    step: Callable[[], object],
    version: str,
    finish: Callable[[], object],
    peak: Callable[[], float],
) -> None:
    """As `measure`, of steps that go on behind the call, on a GPU.

    Args:
        job: `steps` times `block` steps are between two readings of the clock.
        step: Starts a step.
        version: Of what is measured.
        finish: Waits for all steps, before each reading.
        peak: The most memory that was in use, in MiB.
    """
    for _ in range(job["warmup"]):
        step()
    finish()
    seconds = []
    for _ in range(job["steps"]):
        began = time.perf_counter()
        for _ in range(job["block"]):
            step()
        finish()
        seconds.append((time.perf_counter() - began) / job["block"])
    result = {
        "rate": job["batch"] / statistics.median(seconds),
        "peak_mb": peak(),
        "version": version,
    }
    print(json.dumps(result))
