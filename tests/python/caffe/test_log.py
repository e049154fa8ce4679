"""How much pycaffe and the commands log."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import nets
import pytest

import caffe

BUILD = """
import caffe
{before}
net = caffe.Net({model!r}, caffe.TEST)
net.forward()
"""
WARN = 'caffe._caffe.log("a warning", 1, "file.py", 1)\n'


@pytest.fixture
def logged(write_proto):
    """What a program that builds a net and runs it writes to stderr."""
    model = str(write_proto(nets.convolutional()))

    def run(before="", after="", **environment):
        inherited = {k: v for k, v in os.environ.items() if k != "GLOG_minloglevel"}
        process = subprocess.run(
            [sys.executable, "-c", BUILD.format(before=before, model=model) + after],
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        return process.stderr

    return run


def test_programs_get_warnings_and_errors_alone(logged):
    assert logged() == ""
    assert logged(after=WARN).endswith("a warning\n")


def test_they_get_more_or_less_where_it_is_asked_for(logged):
    built = "Creating Layer conv1"
    assert built in logged(GLOG_minloglevel="0")
    assert built in logged("caffe.init_log()")
    assert built in logged("caffe.init_log(0)", GLOG_minloglevel="2")
    assert logged(after=WARN, GLOG_minloglevel="2") == ""
    assert logged("caffe.init_log(2)", after=WARN) == ""


QUIET = """
with caffe.quiet():
    caffe.log("within")
    caffe._caffe.log("a warning within", 1, "file.py", 1)
caffe.log("behind")
"""


@pytest.mark.parametrize(
    ("level", "printed"),
    [
        (0, ["a warning within", "behind"]),
        (1, ["a warning within"]),
        (2, []),
    ],
)
def test_quiet_restores_the_level_that_it_found(logged, level, printed):
    said = logged(after=f"caffe.init_log({level})" + QUIET).splitlines()
    assert [line.partition("] ")[2] for line in said] == printed


def test_a_line_has_its_severity_and_the_callers_position(logged):
    lines = 'caffe.log("first")\ncaffe.log("second", 1)\ncaffe.log("third", severity=2)'
    warning, error = logged(after=lines).splitlines()
    assert re.fullmatch(r"W.* <string>:\d+\] second", warning)
    assert re.fullmatch(r"E.* <string>:\d+\] third", error)


@pytest.mark.parametrize("severity", [-1, 3])
def test_there_are_three_severities(severity):
    with pytest.raises(
        ValueError, match=rf"severity is {severity}, expected 0 \(info\)"
    ):
        caffe.log("a line", severity)


def test_quiet_within_quiet_and_ended_by_an_error(logged):
    program = """
caffe.init_log(0)
try:
    with caffe.quiet():
        with caffe.quiet():
            pass
        caffe.log("between")
        raise ValueError
except ValueError:
    caffe.log("behind")
"""
    (line,) = logged(after=program).splitlines()
    assert line.endswith("] behind")


@pytest.mark.parametrize(("level", "shown"), [(None, True), ("0", True), ("1", False)])
def test_commands_log_as_those_of_caffe_do(run_tool, write_proto, level, shown):
    model = write_proto(nets.convolutional())
    environment = {k: v for k, v in os.environ.items() if k != "GLOG_minloglevel"}
    if level:
        environment["GLOG_minloglevel"] = level
    arguments = ("caffe", "time", "-model", model, "-iterations", 1)
    run = run_tool(*arguments, env=environment)
    assert run.returncode == 0
    assert ("Creating Layer conv1" in run.stderr) == shown
    run = run_tool(*arguments, "-minloglevel", "1", env=environment)
    assert run.stderr == ""
