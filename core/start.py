"""The program `tidegate`: the command line, unless there is no time to load it.

Claude Code asks for a status line after every turn. Its two usual forms are answered before even click is loaded.
"""

import sys


def main() -> None:
    """Do what was typed."""
    match sys.argv[1:]:
        case ["--data-dir", folder, "statusline"]:
            _statusline(folder)
        case ["statusline"]:
            import platformdirs  # noqa: PLC0415

            _statusline(platformdirs.user_data_dir("tidegate", appauthor=False))  # as in `core.files`, which is slow
        case _:
            from core.cli import main as command_line  # noqa: PLC0415

            command_line(prog_name="tidegate")


def _statusline(folder: str) -> None:
    from pathlib import Path  # noqa: PLC0415

    from core import statusline  # noqa: PLC0415

    statusline.show(Path(folder).expanduser())
