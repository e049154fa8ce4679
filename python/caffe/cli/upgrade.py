"""`upgrade_net_proto_text` and its like: files of old formats in today's.

Everything that reads nets upgrades them by itself; these are for the files.
"""

from __future__ import annotations

from google.protobuf import text_format

from caffe.cli.flags import Values
from caffe.cli.program import Program
from caffe.cli.tool import FAILED, log, require_file
from caffe.files import write_atomically
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter

_ARGUMENTS = "PROTO_FILE_IN PROTO_FILE_OUT"


def _say(source: str, needed: bool, complete: bool) -> None:
    if not needed:
        log(f"File already in latest proto format: {source}", 2)
    if not complete:
        log("Encountered error(s) while upgrading prototxt; see details above.", 2)


def _net(source: str, target: str, binary: bool) -> int:
    from caffe import _caffe

    require_file(source, "file")
    serialized, needed, complete = _caffe.upgrade_net(source, binary)
    _say(source, needed, complete)
    if binary:
        write_atomically(target, serialized)
    else:
        net = NetParameter.FromString(serialized)
        write_atomically(target, text_format.MessageToString(net, as_utf8=True))
    kind = "binary" if binary else "text"
    log(f"Wrote upgraded NetParameter {kind} proto to {target}")
    return 0 if complete else FAILED


def _solver(flags: Values, words: list[str]) -> int:
    from caffe import _caffe

    source, target = words
    require_file(source, "file")
    serialized, needed = _caffe.upgrade_solver(source)
    _say(source, needed, True)
    solver = SolverParameter.FromString(serialized)
    write_atomically(target, text_format.MessageToString(solver, as_utf8=True))
    log(f"Wrote upgraded SolverParameter text proto to {target}")
    return 0


PROGRAMS = (
    Program(
        "upgrade_net_proto_text",
        "bring a prototxt to today's format",
        _ARGUMENTS,
        """\
Writes a prototxt of any format, also of 2013 and 2014, in today's. Comments are lost.
Exits with 1 if parts of it have no successor: the log names them, and the file has the
others.""",
        (),
        lambda flags, words: _net(words[0], words[1], binary=False),
    ),
    Program(
        "upgrade_net_proto_binary",
        "bring a caffemodel to today's format",
        _ARGUMENTS,
        """\
Writes a caffemodel of any format in today's, as upgrade_net_proto_text does with a
prototxt.""",
        (),
        lambda flags, words: _net(words[0], words[1], binary=True),
    ),
    Program(
        "upgrade_solver_proto_text",
        "bring a solver's prototxt to today's format",
        _ARGUMENTS,
        """\
Writes a solver's prototxt in today's format, in which `type` is a text. Comments are
lost.""",
        (),
        _solver,
    ),
)
net_text, net_binary, solver_text = (program.main for program in PROGRAMS)
