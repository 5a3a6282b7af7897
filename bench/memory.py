"""What a process and all below it take."""

from pathlib import Path

MEGABYTE = 2**20


def proportional_memory(process: int) -> int:
    """Bytes of a process and all below it, shared pages by their share (proportional set size; Linux)."""
    total, left = 0, [process]
    while left:
        one = left.pop()
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            left += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in _children(task)]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += 1024 * int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
    return total


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()
