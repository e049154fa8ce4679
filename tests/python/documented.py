"""The pages of the documentation as what they tell a reader to run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

# Comments on lines before a block. `needs` names what is not here, such as ImageNet; an
# illustration is no complete program; `numbers vary` where they depend on the processor
# or its load; what `goes on` is Python behind the block before it; a `file` is written.
# A page begins in an empty folder, or says that it is `in the folder of` another one.
MARKS = (
    "file",
    "goes on",
    "illustration",
    "in the folder of",
    "needs",
    "numbers vary",
)
COMMENT = re.compile(r"<!-- (?P<text>.*) -->$")
FENCE = re.compile(r"```(\w*)$")
# What is run; other languages are files, data and results.
RUN = {"sh", "console", "python"}
PROMPT = "$ "
REST = "..."


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    line: int
    language: str
    marks: list[str]
    lines: list[str]

    def marked(self, mark: str) -> bool:
        return any(text.startswith(mark) for text in self.marks)

    @property
    def runs(self) -> bool:
        left = self.marked("needs") or self.marked("illustration")
        return self.language in RUN and not left and not self.file

    @property
    def file(self) -> str:
        """Where a reader writes it to; "" for what is run."""
        names = [m.removeprefix("file ") for m in self.marks if m.startswith("file ")]
        return names[0] if names else ""

    def commands(self) -> list[tuple[str, list[str]]]:
        """Of a console: each command and what the page shows of its output."""
        found: list[tuple[str, list[str]]] = []
        lines = iter(self.lines)
        for line in lines:
            if not line.startswith(PROMPT):
                found[-1][1].append(line)
                continue
            command = line.removeprefix(PROMPT)
            while command.endswith("\\"):
                command += "\n" + next(lines)
            found.append((command, []))
        return found


@dataclass
class Page:
    """A file of the documentation."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    folder_of: str = ""


def read(path: Path) -> Page:
    """The blocks of a page with their marks."""
    page = Page(path)
    marks: list[str] = []
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if comment := COMMENT.match(line):
            text = comment["text"]
            assert text.startswith(MARKS), f"{path}:{number}: no such mark: {line}"
            if text.startswith("in the folder of "):
                page.folder_of = text.removeprefix("in the folder of ")
            else:
                marks.append(text)
        elif fence := FENCE.match(line):
            inside = []
            for _, inner in lines:
                if inner == "```":
                    break
                inside.append(inner)
            page.blocks.append(Block(number, fence[1], marks, inside))
            marks = []
        else:
            assert not marks, f"{path}:{number}: a mark without a block below it"
    return page


_LOG = re.compile(r"^([IWE])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ([\w.]+):\d+\] ")
# Seconds are numbers (0.7s), names and sizes are not (sknet26, 5x5).
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?(?!\.?\d|[A-Za-z_]\w)"
)


def plain(line: str, vary: bool) -> str:
    """Without what differs from run to run: a log's times, and numbers if they vary."""
    line = _LOG.sub(r"\1 \2] ", line.rstrip())
    if vary:
        # Columns are as wide as their numbers.
        line = re.sub(r"-{3,}", "---", " ".join(_NUMBER.sub("#", line).split()))
    return line


def difference(shown: list[str], printed: list[str], vary: bool) -> str | None:
    """The first line of a page that a command did not print; None without one.

    Where the page has a line `...`, any lines may stand, and so may those of the log in
    output of which the page shows none.
    """
    logs = any(map(_LOG.match, shown))
    got = [plain(line, vary) for line in printed if logs or not _LOG.match(line)]
    at, anywhere = 0, False
    for line in shown:
        if line.strip() == REST:
            anywhere = True
            continue
        want = plain(line, vary)
        if anywhere:
            while at < len(got) and got[at] != want:
                at += 1
        if at >= len(got) or got[at] != want:
            return line
        at, anywhere = at + 1, False
    return got[at] if at < len(got) and not anywhere else None
