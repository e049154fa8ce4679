"""Files that are whole or absent, and what becomes of those of killed runs."""

from __future__ import annotations

import ast
import contextlib
import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

import caffe
from caffe import files
from caffe.proto import caffe_pb2

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@contextlib.contextmanager
def no_file_beyond(size):
    """As a disk that is full: Python has the signal for that ignored."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


CONTENTS = {
    "text": ("größe\n", "größe\n".encode()),
    "bytes": (b"\0\xff" * 5000, b"\0\xff" * 5000),
    "function": (lambda file: file.write(b"a") + file.write(b"b"), b"ab"),
    "name that is not UTF-8": (os.fsdecode(b"\xff.jpg"), b"\xff.jpg"),
}


class TestWriting:
    @pytest.mark.parametrize("name", CONTENTS)
    def test_all_kinds_of_content(self, tmp_path, name):
        content, want = CONTENTS[name]
        path = tmp_path / "file"
        for _ in range(2):
            files.write_atomically(path, content)
            assert path.read_bytes() == want
            path.write_bytes(b"an older, longer content" * 1000)
        assert list(tmp_path.iterdir()) == [path]

    def test_permissions(self, tmp_path):
        path = tmp_path / "file"
        old = os.umask(0o027)
        try:
            files.write_atomically(path, "x")
        finally:
            os.umask(old)
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o400)
        files.write_atomically(path, "y")
        assert path.stat().st_mode & 0o777 == 0o400
        assert path.read_text() == "y"

    def test_links_are_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        link = tmp_path / "link"
        link.symlink_to("real/file")
        for content in ("first", "second"):
            files.write_atomically(link, content)
            assert link.is_symlink()
            assert (tmp_path / "real" / "file").read_text() == content

    def test_relative_paths(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        files.write_atomically("file", "x")
        with files.temporary_folder("other") as folder:
            (folder / "draft").write_text("y")
            files.put_in_place(folder / "draft", Path("other"))
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
            "file": "x",
            "other": "y",
        }

    @pytest.mark.parametrize("content", [c for c, _ in CONTENTS.values()])
    def test_a_full_disk_leaves_what_was_there(self, tmp_path, content):
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_text("kept")
        for path in (old, new):
            with (
                no_file_beyond(1),
                pytest.raises(OSError, match=r"^cannot write") as raised,
            ):
                files.write_atomically(path, content)
            assert str(raised.value) == (
                f"cannot write '{path}': File too large; make room: nothing was changed"
            )
            assert raised.value.errno == errno.EFBIG
        assert old.read_text() == "kept"
        assert list(tmp_path.iterdir()) == [old]

    def test_devices_are_written_directly(self, tmp_path):
        # By links, as a fault of ours could replace the devices.
        full, null = tmp_path / "full", tmp_path / "null"
        full.symlink_to("/dev/full")
        null.symlink_to("/dev/null")
        message = f"^cannot write '{full}': No space left on device; make room"
        with files.temporary_folder(full) as folder:
            draft = folder / "draft"
            draft.write_text("x")
            with pytest.raises(OSError, match=message):
                files.write_atomically(full, "x")
            with pytest.raises(OSError, match=message):
                files.put_in_place(draft, full)
            files.write_atomically(null, "x")
            files.put_in_place(draft, null)
        assert full.resolve().is_char_device()
        assert null.resolve().is_char_device()
        assert sorted(tmp_path.iterdir()) == [full, null]

    def test_an_exception_of_the_writer(self, tmp_path):
        path = tmp_path / "file"
        path.write_text("kept")

        def half(file):
            file.write(b"half")
            raise ValueError("stop")

        with pytest.raises(ValueError, match="stop"):
            files.write_atomically(path, half)
        assert path.read_text() == "kept"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("name", "kind", "message"),
        [
            ("no/file", FileNotFoundError, "create the folder '{}/no' first"),
            ("", IsADirectoryError, "Is a directory; give the name of a file in it"),
            (300 * "n", OSError, "File name too long"),
            ("file/below", NotADirectoryError, "Not a directory"),
        ],
    )
    def test_bad_paths(self, tmp_path, name, kind, message):
        (tmp_path / "file").touch()
        path = tmp_path / name
        if message.startswith("File name"):
            # Found out only when it gets its name.
            assert files.write_atomically(path.with_name(250 * "n"), "x") is None
        with pytest.raises(kind) as raised:
            files.write_atomically(path, "x")
        assert str(raised.value).startswith(f"cannot write '{path}': ")
        assert message.format(tmp_path) in str(raised.value)
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


class TestReading:
    @pytest.mark.parametrize("read", [files.read_bytes, files.read_text])
    def test_what_cannot_be_read_is_named(self, tmp_path, read):
        missing = tmp_path / "missing"
        with pytest.raises(FileNotFoundError) as raised:
            read(missing)
        assert str(raised.value) == (
            f"cannot read '{missing}': No such file or directory"
        )
        with pytest.raises(IsADirectoryError, match=r"^cannot read '.*': Is a dir"):
            read(tmp_path)

    def test_text(self, tmp_path):
        path = tmp_path / "text"
        path.write_bytes("é\r\nb\rc\n".encode())
        assert files.read_text(path) == path.read_text(encoding="utf-8")
        path.write_bytes(b"ab\xff")
        with pytest.raises(ValueError, match=r"'.*text' is no text in UTF-8.* 2"):
            files.read_text(path)
        assert files.read_text(path, errors="replace") == "ab\N{REPLACEMENT CHARACTER}"

    def test_sentences(self):
        assert files.sentence(OSError(28, "No space left")) == "No space left"
        assert files.sentence(OSError(2, "No such file", "a")) == "'a': No such file"
        assert files.sentence(OSError("a sentence")) == "a sentence"
        assert files.sentence(MemoryError()) == "MemoryError"
        both = OSError(18, "Invalid cross-device link", "a", None, "b")
        assert files.sentence(both) == "'a' and 'b': Invalid cross-device link"


# Programs that write beside sys.argv[1] until they are killed.
PYTHON_FILE = """
import sys
from caffe.files import write_atomically
def endless(file):
    file.write(b"part")
    file.flush()
    print("ready", flush=True)
    sys.stdin.readline()
write_atomically(sys.argv[1], endless)
"""
PYTHON_FOLDER = """
import sys
from caffe.files import temporary_folder
with temporary_folder(sys.argv[1]) as folder:
    (folder / "content").write_text("x")
    print("ready", flush=True)
    sys.stdin.readline()
"""
WRITERS = {
    "file of Python": PYTHON_FILE,
    "folder of Python": PYTHON_FOLDER,
}


@contextlib.contextmanager
def writer(program, target, prefix=(), **options):
    """A process in the midst of writing beside `target`."""
    command = [*prefix, sys.executable, "-c", program, target]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def write_with_python(folder):
    files.write_atomically(folder / "next", "x")


def write_with_the_engine(folder):
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name="input", type="Input", top=["data"])
    layer.input_param.shape.add(dim=[1])
    caffe.Net(net, caffe.TEST).save(folder / "next")


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("write", [write_with_python, write_with_the_engine])
class TestAbandoned:
    @pytest.mark.parametrize("program", WRITERS)
    def test_goes_once_its_writer_was_killed(self, tmp_path, write, program):
        with writer(WRITERS[program], tmp_path / "target") as process:
            (left,) = hidden(tmp_path)
            name = re.escape(f".target.{BOOT_ID}-") + r"[0-9a-f]{16}\.caffe-tmp"
            assert re.fullmatch(name, left.name)
            write(tmp_path)
            assert hidden(tmp_path) == [left], "its writer lives"
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert hidden(tmp_path) == [left], "or this tests nothing"
            write(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["next"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
    def test_of_another_user(self, tmp_path, write):
        shared = Path("/tmp") / f"caffe-test-{os.getpid()}-{write.__name__}"
        shared.mkdir()
        shared.chmod(0o777)
        # Which may not read where Python lies.
        become = "import os\nos.setgid(65534)\nos.setuid(65534)\nwrite_atomically("
        program = PYTHON_FILE.replace("write_atomically(", become)
        try:
            with writer(program, shared / "target") as process:
                (left,) = hidden(shared)
                assert left.stat().st_uid == 65534
                write(shared)
                assert hidden(shared) == [left]
                process.kill()
                process.wait()
                write(shared)
            assert not hidden(shared)
        finally:
            shutil.rmtree(shared)

    @pytest.mark.parametrize("program", WRITERS)
    def test_of_another_container(self, tmp_path, write, program):
        apart = ("unshare", "--pid", "--fork", "--kill-child")
        if (
            not shutil.which("unshare")
            or subprocess.run(
                [*apart, "true"], check=False, capture_output=True
            ).returncode
        ):
            pytest.skip("no namespace of processes can be made here")
        target = tmp_path / "target"
        with writer(WRITERS[program], target, prefix=apart) as process:
            (left,) = hidden(tmp_path)
            write(tmp_path)
            assert hidden(tmp_path) == [left]
            process.kill()
            process.stdout.read()  # until the one within has gone as well
            write(tmp_path)
        assert not hidden(tmp_path)

    def test_of_another_machine_stays(self, tmp_path, write):
        """One that shares the disk: whether its writer lives cannot be known here."""
        other = "01234567-89ab-cdef-0123-456789abcdef"
        kept = tmp_path / f".target.{other}-0123456789abcdef.caffe-tmp"
        kept.write_text("half")
        gone = tmp_path / f".target.{BOOT_ID}-0123456789abcdef.caffe-tmp"
        gone.write_text("half")
        write(tmp_path)
        assert hidden(tmp_path) == [kept]

    def test_what_only_looks_like_it_stays(self, tmp_path, write):
        tag = f"{BOOT_ID}-0123456789abcdef"
        names = [
            f"target.{tag}.caffe-tmp",
            f".target.{tag}.caffe-tmp.bak",
            f".target.{BOOT_ID}-0123.caffe-tmp",
            ".target.1234-0.tmp",
            ".caffe-tmp",
        ]
        for name in names:
            (tmp_path / name).write_text("the user's")
        write(tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names, "next"])

    def test_a_link_is_not_followed(self, tmp_path, write):
        precious = tmp_path / "precious"
        precious.mkdir()
        (precious / "file").touch()
        link = tmp_path / f".target.{BOOT_ID}-0123456789abcdef.caffe-tmp"
        link.symlink_to(precious)
        write(tmp_path)
        assert (precious / "file").exists()


# A training that the first write beyond a size kills, without a dump of its memory.
KILLED_TRAINING = """
import resource, signal, sys
import caffe.cli
limit, solver = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
caffe.cli.main(["train", "-solver", solver])
"""


@pytest.mark.parametrize("format", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("left", ["caffemodel", "solverstate"])
def test_a_killed_training_is_cleaned_up_by_the_next(run_tool, tmp_path, left, format):
    """Whatever a snapshot left half-written when it was killed: all of it goes."""
    values = 100_000
    net = caffe.NetSpec()
    net.data = caffe.layers.DummyData(shape=[{"dim": [1, values // 10]}])
    net.ip = caffe.layers.InnerProduct(net.data, num_output=10)
    net.loss = caffe.layers.Reduction(net.ip, loss_weight=1)
    # The state of Adam has two numbers for each weight.
    solver = caffe_pb2.SolverParameter(
        net_param=net.to_proto(),
        type="Adam",
        base_lr=1e-9,
        lr_policy="fixed",
        max_iter=1,
        snapshot_prefix=str(tmp_path / "snapshots" / "s"),
        snapshot_format=caffe_pb2.SolverParameter.SnapshotFormat.Value(format),
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )
    path = tmp_path / "solver.prototxt"
    path.write_text(str(solver))
    folder = tmp_path / "snapshots"
    limit = values * np.dtype(np.float32).itemsize * 3 // 2
    if left == "caffemodel":
        limit //= 3
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_TRAINING, str(limit), path],
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGXFSZ, killed.stderr
    (half,) = hidden(folder)
    assert half.name.startswith(f".s_iter_1.{left}.")
    assert half.stat().st_size == limit
    assert run_tool("caffe", "train", "-solver", path).returncode == 0
    assert not hidden(folder)
    assert len(list(folder.iterdir())) == 2, "the weights and the state"


def test_a_descriptor_that_is_taken_over_keeps_the_lock(tmp_path):
    """A child process that lives on is a living writer, too."""
    program = PYTHON_FOLDER.replace(
        'print("ready"',
        """import subprocess, os
    os.set_inheritable(os.open(folder, 0), False)
    if os.fork() == 0:
        sys.stdin.readline()
        os._exit(0)
    print("ready\"""",
    )
    with writer(program, tmp_path / "target", ()) as process:
        (left,) = hidden(tmp_path)
        process.kill()
        process.wait()
        files.remove_abandoned(tmp_path)
        assert hidden(tmp_path) == [left]
        process.stdin.close()
        process.stdout.read()  # until the child has ended
        files.remove_abandoned(tmp_path)
    assert not hidden(tmp_path)


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    left = tmp_path / f".target.{BOOT_ID}-0123456789abcdef.caffe-tmp"
    left.touch()

    def refuse(descriptor, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    files.write_atomically(tmp_path / "file", "x")
    assert left.exists()
    assert (tmp_path / "file").read_text() == "x"


def test_long_names(tmp_path):
    path = tmp_path / (126 * "é" + "end")
    assert len(os.fsencode(path.name)) == 255
    files.write_atomically(path, "x")
    assert path.read_text() == "x"
    with files.temporary_folder(path) as folder:
        os.fsencode(folder.name).decode()  # cut between characters


def _writes(node):
    """What a call writes with, if it is none of caffe.files."""
    if not isinstance(node, ast.Call):
        return None
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
    if name == "open":
        modes = [
            t for t in texts if isinstance(t, str) and re.fullmatch("[rwaxbt+]+", t)
        ]
        return next((f"open({m})" for m in modes if set(m) & set("wax+")), None)
    forbidden = {"write_text", "write_bytes", "savefig", "savez", "TemporaryDirectory"}
    forbidden |= {"NamedTemporaryFile", "TemporaryFile", "mkstemp", "mkdtemp"}
    return name if name in forbidden else None


def test_there_is_one_writer():
    """Whatever writes otherwise loses files when the disk is full, or litters it."""
    allowed = {
        # That writer itself.
        ("caffe/files.py", "open(wb)"),
        ("caffe/files.py", "open(w+b)"),
        # Drafts in its folders; a file that grows.
        ("caffe/tensorboard.py", "open(ab)"),
        ("caffe/tensorboard.py", "open(wb)"),
        ("caffe/tensorboard.py", "open(xb)"),
        ("caffe/tensorboard.py", "open(r+b)"),
        # Into a file that it opened.
        ("caffe/figures.py", "savefig"),
    }
    found = set()
    for path in (ROOT / "python").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if what := _writes(node):
                found.add((str(path.relative_to(ROOT / "python")), what))
    assert found == allowed, "or this finds nothing"


def test_figures_and_tables(tmp_path):
    from matplotlib.figure import Figure

    from caffe.figures import save_figure
    from sknet.files import write_csv

    for name, start in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a", b"\x89PNG")):
        save_figure(Figure(), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(ValueError, match="xyz"):
        save_figure(Figure(), tmp_path / "a.xyz")
    write_csv(tmp_path / "t.csv", ("a", "b"), [(1, None), ("x,y", np.float32(0.5))])
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1,\n"x,y",0.5\n'
    assert not hidden(tmp_path)


def test_what_a_killed_run_left_is_no_snapshot_to_go_on_from(tmp_path):
    from sknet.training.run_folder import RunFolder

    folder = tmp_path / "snapshots"
    folder.mkdir()
    for name in ("s_iter_10.solverstate", "s_iter_20.solverstate.h5"):
        (folder / name).touch()
        want = (folder / name, int(re.search(r"\d+", name)[0]))
        left = folder / f".s_iter_30.solverstate.{BOOT_ID}-0123456789abcdef.caffe-tmp"
        left.touch()
        os.utime(left, (2e9, 2e9))
        assert RunFolder(tmp_path, "s").newest_snapshot() == want
