"""Commands with arguments beside their flags: Caffe's tools and scripts.

Each is a subcommand of `caffe`, and some are programs of their own as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caffe.cli.flags import Flag, UsageError, Values, describe, parse
from caffe.cli.tool import (
    ALL_LOG_FLAGS,
    LOG_FLAGS,
    guard,
    refuse_several_processes,
    set_up_log,
)

_HELP = Flag("help", False, "Show this text.")


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: Of the command.
        summary: A line about it.
        arguments: What to write behind the flags, such as "INPUT_DB [OUTPUT_FILE]";
            "..." for any number more of the last.
        text: What it does, for the help.
        flags: Its flags.
        run: Runs it with the flags and the arguments; returns the exit status.
    """

    name: str
    summary: str
    arguments: str
    text: str
    flags: tuple[Flag, ...]
    run: Callable[[Values, list[str]], int]

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs a command line of its own; returns its exit status."""
        arguments = list(sys.argv[1:] if argv is None else argv)
        hint = f"See `{self.name} -help`."
        return guard(self.name, hint, lambda: self.start(arguments, self.name))

    def start(self, arguments: Sequence[str], called: str) -> int:
        """Runs it.

        Args:
            arguments: What stands behind its name.
            called: What messages call it.

        Raises:
            UsageError: The arguments cannot be understood.
        """
        flags, words, rest = parse(arguments, (*self.flags, *ALL_LOG_FLAGS, _HELP))
        words += rest
        if flags.help:
            print(self.usage(called))
            return 0
        self._check_number(words)
        refuse_several_processes(called)
        set_up_log(flags, self.name)
        return self.run(flags, words)

    def usage(self, called: str) -> str:
        """The text that -help shows."""
        own = f"\n\n{describe(self.flags)}" if self.flags else ""
        first = f"usage: {called} [flags] {self.arguments}".rstrip()
        return f"{first}\n\n{self.text}{own}\n\nlog:\n{describe(LOG_FLAGS)}"

    def _check_number(self, words: list[str]) -> None:
        named = [name for name in self.arguments.split() if name != "..."]
        least = sum(not name.startswith("[") for name in named)
        endless = "..." in self.arguments.split()
        if len(words) < least or (len(words) > len(named) and not endless):
            some = f"{len(words)} argument{'' if len(words) == 1 else 's'}"
            expected = self.arguments or "none"
            raise UsageError(f"got {some}, expected {expected}")
