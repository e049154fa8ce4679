"""`caffe build-plugin`: from layer sources to a shared object."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from caffe.cli.flags import Flag, UsageError, describe, parse
from caffe.cli.tool import require_file
from caffe.files import make_folder, put_in_place, temporary_folder

NAME = "build-plugin"
SUMMARY = "compile layers of your own into a shared object"

_FLAGS = (
    Flag("o", "", "The shared object to write, e.g. libmy.so."),
    Flag("help", False, "Show this text."),
)
USAGE = f"""\
usage: caffe build-plugin SOURCE.cpp [MORE.cpp ...] -o libmy.so [-- COMPILER FLAGS]

Compiles layers or solvers that register themselves (REGISTER_LAYER_CLASS) against the
installed headers and library, as C++17 unless -std= says otherwise. Uses $CXX, or g++,
with $CXXFLAGS and what follows `--`; headers are looked for in the folders named there
first.
Load the result with `caffe train -plugin libmy.so`, caffe.load_plugin("libmy.so"), or
CAFFE_PLUGINS=libmy.so.

{describe(_FLAGS)}"""


def run(arguments: list[str]) -> int:
    """Compiles, links, and shows what the result registers."""
    split_at = arguments.index("--") if "--" in arguments else len(arguments)
    flags, sources, _ = parse(arguments[:split_at], _FLAGS)
    if flags.help:
        print(USAGE)
        return 0
    if not sources:
        raise UsageError("no source file given")
    if not flags.o:
        raise UsageError("flag -o is missing: the shared object to write")
    for source in sources:
        require_file(source, "source file")
    target = Path(flags.o)
    build(sources, target, arguments[split_at + 1 :])

    import caffe

    types = caffe.load_plugin(target)
    print(f"built {target}: {', '.join(types)}")
    return 0


def build(sources: list[str], target: Path, extra: list[str]) -> None:
    """Runs the compiler; its messages go to stderr.

    Raises:
        OSError: There is no compiler, or it refused the sources.
    """
    from caffe import _caffe

    library = Path(_caffe.library_path())
    compiler = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    make_folder(target.parent)
    with temporary_folder(target) as folder:
        draft = folder / target.name
        command = [
            *compiler,
            *("-std=c++17", "-O3", "-fPIC", "-shared"),
            *([] if _caffe.has_gpu else ["-DCPU_ONLY"]),
            *shlex.split(os.environ.get("CXXFLAGS", "")),
            *sources,
            *("-o", str(draft)),
            # By its full name: a wheel holds no libcaffe.so link for -lcaffe.
            str(library),
            f"-Wl,-rpath,{library.parent}",
            *extra,
            # Behind the user's folders: a header of a fork, of the same name, is meant.
            f"-I{include_folder()}",
            f"-I{include_folder() / 'caffe' / 'compat'}",
        ]
        try:
            status = subprocess.run(command, check=False).returncode
        except OSError as error:
            raise OSError(
                f"cannot run the compiler '{compiler[0]}' ({error.strerror}); install "
                "g++, or name another in CXX"
            ) from None
        if status:
            raise OSError(
                f"{compiler[0]} refused {' '.join(sources)}; its messages are above"
            )
        put_in_place(draft, target)


def include_folder() -> Path:
    """The folder of the public headers, in the package or beside the library."""
    installed = Path(__file__).parents[1] / "include"
    if (installed / "caffe" / "layer.hpp").exists():
        return installed
    raise OSError(
        f"the headers are missing, expected them in '{installed}'; install sknet-caffe "
        "with `pip install .`"
    )
