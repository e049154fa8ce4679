"""Files that are whole or absent, and errors that name the file.

What is being written lies beside its target as `.NAME.<boot id>-<tag>.caffe-tmp`, and
its writer holds it with flock, so that what a killed process left can be told from what
a living one writes: the next writer in the folder removes it. All processes of a
machine see a lock, other machines that share the disk may not; hence the boot id, which
tells a machine, and each of its starts, from all others. The engine has the same rule
(src/caffe/util/temporary_entry.hpp).

Nothing compiled is needed here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".caffe-tmp"
# File systems have 255 bytes for a name.
_STEM_BYTES = 180
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Some file systems cannot flush a folder or a pipe; that is no failed write.
_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)

PathLike = str | os.PathLike[str]
Content = str | bytes | Callable[[BinaryIO], object]


def write_atomically(path: PathLike, content: Content) -> None:
    """Writes a file, or replaces one, at once.

    After a crash `path` has its old content or the new, and after an error the old. A
    symbolic link is followed, a replaced file keeps its permissions, and what is no
    regular file (a device, a pipe) is written directly.

    Args:
        path: The file.
        content: Text, written as UTF-8; bytes; or a function that writes into the
            file it is given.

    Raises:
        OSError: The file cannot be written; the message is a sentence.
    """
    path = Path(path)
    with _failing("write", path):
        target, mode = _followed(path)
        if mode is not None and not stat.S_ISREG(mode):
            with target.open("wb") as file:
                _fill(file, content)
            return
        descriptor, temporary = _create(
            target, lambda name: _create_file(name, 0o666 if mode is None else mode)
        )
        try:
            with open(descriptor, "w+b") as file:  # noqa: PTH123
                _fill(file, content)
                file.flush()
                if mode is not None:
                    os.fchmod(descriptor, stat.S_IMODE(mode))
                _flush(descriptor)
                # While it is locked: nobody may take it for abandoned.
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


def check_writable(path: PathLike) -> None:
    """Finds out whether a file can be written, before the work whose result it gets.

    Raises:
        OSError: It cannot; the message is that of `write_atomically`.
    """
    path = Path(path)
    with _failing("write", path):
        target, mode = _followed(path)
        if mode is not None and not stat.S_ISREG(mode):
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return
        descriptor, temporary = _create(target, lambda name: _create_file(name, 0o600))
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def _followed(path: Path) -> tuple[Path, int | None]:
    """What a path leads to, and the mode of what is there."""
    target = path.resolve() if path.is_symlink() else path
    try:
        return target, target.stat().st_mode
    except FileNotFoundError:
        return target, None


def _fill(file: BinaryIO, content: Content) -> None:
    if callable(content):
        content(file)
        return
    if isinstance(content, str):
        # Names of files need not be UTF-8.
        content = content.encode("utf-8", "surrogateescape")
    file.write(content)


@contextlib.contextmanager
def temporary_folder(beside: PathLike | None = None) -> Iterator[Path]:
    """A folder for as long as it is needed.

    Args:
        beside: The file or folder that what is in it will become; by default it is
            where the system keeps temporary files.

    Raises:
        OSError: It cannot be created; the message is a sentence.
    """
    target = Path(tempfile.gettempdir()) / "caffe" if beside is None else Path(beside)
    with _failing("write", target.parent if beside is None else target):
        descriptor, folder = _create(target, _create_folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # the name is there; only its durability is unknown
        return
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


def put_in_place(draft: Path, path: Path) -> None:
    """Gives a complete file its name, from a `temporary_folder` beside that.

    What has the name already is replaced as by `write_atomically`.

    Raises:
        OSError: It cannot; the message is a sentence.
    """
    with writing(path), draft.open("rb") as file:
        target, mode = _followed(path)
        if mode is not None and not stat.S_ISREG(mode):
            with target.open("wb") as device:
                shutil.copyfileobj(file, device)
            return
        if mode is not None:
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
        _flush(file.fileno())
        draft.replace(target)
        sync_folder(target.parent)


@contextlib.contextmanager
def writing(path: PathLike) -> Iterator[None]:
    """Within it, errors of the system are said about writing `path`.

    Raises:
        OSError: The message is a sentence.
    """
    with _failing("write", Path(path)):
        yield


def make_folder(path: PathLike) -> None:
    """Creates a folder, and those it is in, if missing.

    Raises:
        OSError: It cannot be created; the message is a sentence.
    """
    with _failing("create", Path(path)):
        Path(path).mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def reading(path: PathLike) -> Iterator[None]:
    """Within it, errors of the system are said about reading `path`.

    Raises:
        OSError: The message is a sentence.
    """
    with _failing("read", Path(path)):
        yield


def read_bytes(path: PathLike) -> bytes:
    """The content of a file.

    Raises:
        OSError: It cannot be read; the message is a sentence.
    """
    with reading(path):
        return Path(path).read_bytes()


def read_text(path: PathLike, errors: str = "strict") -> str:
    """The content of a file of text in UTF-8.

    Args:
        path: The file.
        errors: What to do about other bytes, as `bytes.decode` has it.

    Raises:
        OSError: It cannot be read; the message is a sentence.
        ValueError: It is no text in UTF-8.
    """
    try:
        text = read_bytes(path).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"'{path}' is no text in UTF-8, see byte {error.start}"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sentence(error: BaseException) -> str:
    """What to tell a person of an error."""
    if isinstance(error, OSError) and error.strerror:
        names = [error.filename, error.filename2]
        named = " and ".join(f"'{os.fsdecode(n)}'" for n in names if n is not None)
        return f"{named}: {error.strerror}" if named else error.strerror
    return str(error) or type(error).__name__


@contextlib.contextmanager
def _failing(verb: str, path: Path) -> Iterator[None]:
    """Makes errors of the system sentences; they keep their class and number."""
    try:
        yield
    except BrokenPipeError:  # whoever read has gone, which is no fault
        raise
    except OSError as error:
        if error.errno is None or error.strerror is None:  # a sentence already
            raise
        cure = ""
        if verb == "write":
            if error.errno == errno.ENOENT and not path.parent.exists():
                cure = f"; create the folder '{path.parent}' first"
            elif error.errno in _NO_ROOM:
                cure = "; make room: nothing was changed"
            elif error.errno == errno.EISDIR:
                cure = "; give the name of a file in it"
        kind = type(OSError(error.errno, ""))
        failure = kind(f"cannot {verb} '{path}': {error.strerror}{cure}")
        failure.errno = error.errno
        raise failure from None


def try_lock(descriptor: int) -> bool | None:
    """Takes the lock that tells others that this process has an open file in use.

    Returns:
        True if it is taken now; False if another has it; None where there are no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def lock_for_life(path: PathLike) -> bool:
    """Locks a file, which is created if need be, until this process ends.

    A program that the process goes on with (`os.execv`) keeps the lock, and however the
    process ends, nothing is left of it. True as well where there are no locks.

    Returns:
        Whether no other process has it.

    Raises:
        OSError: The file cannot be written; the message is a sentence.
    """
    with _failing("write", Path(path)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    if try_lock(descriptor) is False:
        os.close(descriptor)
        return False
    os.set_inheritable(descriptor, True)
    return True


# Temporary names, and what is done about abandoned ones.


def _boot_id() -> str | None:
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return text.strip() if re.fullmatch(r"[0-9a-f-]{36}\s*", text) else None


_BOOT_ID = _boot_id()


def _create(target: Path, create: Callable[[Path], int]) -> tuple[int, Path]:
    """Something new beside `target`, locked: a descriptor and its path."""
    remove_abandoned(target.parent)
    # As much of the name as there is room for, in whole characters.
    name = os.fsencode(target.name)
    end = min(len(name), _STEM_BYTES)
    while 0 < end < len(name) and name[end] & 0xC0 == 0x80:
        end -= 1
    stem = os.fsdecode(name[:end])
    boot = _BOOT_ID or 36 * "0"
    while True:
        path = target.with_name(f".{stem}.{boot}-{os.urandom(8).hex()}{_SUFFIX}")
        try:
            descriptor = create(path)
        except FileExistsError:
            continue
        locked = try_lock(descriptor)
        # Where there are no locks, nobody can take one to remove it either.
        if locked is not False and os.path.lexists(path):
            return descriptor, path
        # Another process took it for abandoned before it was locked.
        os.close(descriptor)


def _create_file(path: Path, mode: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags, mode & 0o777 | 0o600)


def _create_folder(path: Path) -> int:
    path.mkdir(mode=0o700)
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # taken for abandoned
        raise FileExistsError from None


def remove_abandoned(folder: Path) -> None:
    """Removes what killed processes of this machine left in a folder."""
    if _BOOT_ID is None:
        return
    ours = re.compile(rf"\..*\.{_BOOT_ID}-[0-9a-f]{{16}}{re.escape(_SUFFIX)}", re.S)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if ours.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_free(Path(entry.path))


def _remove_if_free(path: Path) -> None:
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # NFS locks only what is open for writing.
        descriptor = os.open(path, os.O_RDWR | flags)
    except IsADirectoryError:
        descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        # It may have been removed, and the name given to another, before the lock.
        if try_lock(descriptor) and os.path.samestat(
            os.fstat(descriptor), path.lstat()
        ):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        os.close(descriptor)
