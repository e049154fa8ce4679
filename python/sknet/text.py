"""Plain tables that are never cut: pipes and narrow terminals keep all digits."""

from __future__ import annotations

from collections.abc import Sequence

# More would bury a summary.
_SHOWN_REJECTS = 20


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns under a ruled header; numbers are set to the right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(map(_is_number, column[1:])) for column in columns]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ).rstrip()

    ruler = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), ruler, *map(line, rows)])


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").rstrip(" M%").isdigit() or not cell


def print_rejected(images: Sequence[str], where: str, indent: str = "") -> None:
    """Lists the first images that were left out; `where` has all."""
    for image in images[:_SHOWN_REJECTS]:
        print(f"{indent}rejected {image}")
    if (more := len(images) - _SHOWN_REJECTS) > 0:
        print(f"{indent}rejected {more} more, see {where}")
