"""A folder of one training run, which goes on as it was begun."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from caffe.files import lock_for_life, make_folder, read_text, write_atomically
from sknet.prototxt import to_text

_FORMAT = "sknet run 1"
# What may differ from one start to the next: how long the run is.
_MAY_CHANGE = {"epochs", "steps", "schedule"}
_POSITIONAL = {"model", "data"}
_SCHEDULE = {"max_iter", "stepvalue", "display", "test_interval", "snapshot"}
# Not what a killed run left of one, whose name goes on.
_ITERATION = re.compile(r"_iter_(\d+)\.solverstate(\.h5)?$")


@dataclass(frozen=True)
class RunFolder:
    """The files of a run.

    Attributes:
        path: The folder.
        model: Name in the snapshots' files.
    """

    path: Path
    model: str

    @property
    def net(self) -> Path:
        """The definition that is trained."""
        return self.path / "train_val.prototxt"

    @property
    def solver(self) -> Path:
        """How it is trained."""
        return self.path / "solver.prototxt"

    @property
    def log(self) -> Path:
        """What training says."""
        return self.path / "train.log"

    @property
    def snapshot_prefix(self) -> str:
        """Start of the snapshots' paths."""
        return str(self.path / "snapshots" / self.model)

    def occupy(self) -> None:
        """Keeps other runs out of the folder.

        Raises:
            ValueError: Another run is in it.
            OSError: The folder cannot be written.
        """
        make_folder(self.path)
        if not lock_for_life(self.path / ".lock"):
            raise ValueError(
                f"'{self.path}': another `sknet train` is at work there; wait for its "
                "end, or name another folder"
            )

    def define(self, net: Message, solver: Message, options: Mapping[str, Any]) -> None:
        """Writes the definitions, if the folder holds no snapshots of another run.

        Args:
            net: The net.
            solver: Its solver.
            options: What the two were made from, by the names of options.

        Raises:
            ValueError: The folder was begun with another net, solver or options; those
                that only say how long the run is may differ.
            OSError: A file cannot be read or written.
        """
        # A start that failed, over weights that do not fit or a rate that is too
        # high, left nothing to go on with.
        if self.newest_snapshot() is not None:
            self._compare_options(options)
            self._compare(self.net, net, set())
            self._compare(self.solver, solver, _SCHEDULE)
        make_folder(self.path / "snapshots")
        write_atomically(self.net, to_text(net))
        write_atomically(self.solver, to_text(solver))
        record = {"format": _FORMAT, "options": dict(options)}
        write_atomically(self.path / "run.json", json.dumps(record, indent=1) + "\n")

    def newest_snapshot(self) -> tuple[Path, int] | None:
        """The solverstate written last, and its iteration; None without one."""
        found = [
            (state.stat().st_mtime_ns, state, int(match[1]))
            for state in self.path.glob("snapshots/*.solverstate*")
            if (match := _ITERATION.search(state.name))
        ]
        if not found:
            return None
        _, state, iteration = max(found)
        return state, iteration

    def _compare_options(self, options: Mapping[str, Any]) -> None:
        path = self.path / "run.json"
        if not path.exists():
            return
        try:
            record = json.loads(read_text(path))
            before = dict(record["options"])
            if record["format"] != _FORMAT:
                raise ValueError(f"format '{record['format']}'")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"'{path}': damaged, or none of ours ({error}); name another folder"
            ) from None
        # The net first, on which the others depend.
        names = sorted({*before, *options} - _MAY_CHANGE, key=_by_importance)
        for name in names:
            if before.get(name) != options.get(name):
                was, now = (_said(name, given.get(name)) for given in (before, options))
                self._refuse(f"{was}, now {now}")

    def _compare(self, path: Path, now: Message, may_change: set[str]) -> None:
        if not path.exists():
            return
        before, same = type(now)(), type(now)()
        try:
            text_format.Parse(read_text(path), before)
        except ValueError as error:
            raise ValueError(
                f"'{path}': no definition of ours ({error}); name another folder"
            ) from None
        # As it would be read again: what is written leaves out defaults.
        text_format.Parse(to_text(now), same)
        for message in (before, same):
            for name in may_change:
                message.ClearField(name)
        if before == same:
            return
        old, new = (
            text_format.MessageToString(message).splitlines()
            for message in (before, same)
        )
        differs = next(
            (pair for pair in zip(old, new, strict=False) if pair[0] != pair[1]),
            ("its end", "more") if len(old) < len(new) else ("more", "its end"),
        )
        self._refuse(
            f"'{path.name}' says `{differs[0].strip()}`, now `{differs[1].strip()}`"
        )

    def _refuse(self, what: str) -> None:
        allowed = ", ".join(f"--{name}" for name in sorted(_MAY_CHANGE))
        raise ValueError(
            f"run folder '{self.path}' was begun with {what}; name another folder, or "
            f"go on with the options it was begun with (of which {allowed} may change)"
        )


def _by_importance(name: str) -> tuple[bool, str]:
    return name not in _POSITIONAL, name


def _said(name: str, value: Any) -> str:
    if name in _POSITIONAL:
        return f"{name} {value}"
    option = "--" + name.replace("_", "-")
    return f"no {option}" if value is None else f"{option} {value}"
