"""What winget and Homebrew need to fetch a release: `python packaging/fill.py HOME FOLDER`, once its files are there.

HOME is the address of the project, FOLDER holds the installers; what is written goes there too.
"""

import hashlib
import re
import sys
from pathlib import Path

from facts import APP_ID, SUMMARY, Facts

HERE = Path(__file__).parent
TEMPLATES = (*sorted((HERE / "windows/winget").glob("*.yaml")), HERE / "macos/tidegate.rb")
INSTALLERS = {
    "SHA256_WINDOWS": "tidegate-{version}-setup.exe",
    "SHA256_ARM64": "tidegate-{version}-arm64.dmg",
    "SHA256_X86_64": "tidegate-{version}-x86_64.dmg",
}


def filled(template: str, values: dict[str, str]) -> str:
    """A template with its `@NAME@` replaced. Raises KeyError when nothing is known for one."""
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", lambda found: values[found[1]], template)


def write(facts: Facts, home: str, folder: Path) -> list[Path]:
    """Fill the templates for the installers in `folder`. Raises OSError when one is not there."""
    names = {key: name.format(version=facts.version) for key, name in INSTALLERS.items()}
    sums = {key: hashlib.sha256((folder / name).read_bytes()).hexdigest() for key, name in names.items()}
    known = {"VERSION": facts.version, "DATE": f"{facts.made_on:%Y-%m-%d}", "SUMMARY": SUMMARY, "ID": APP_ID}
    made = []
    for template in TEMPLATES:
        made.append(folder / template.name)
        made[-1].write_text(filled(template.read_text("utf-8"), {**known, **sums, "HOME": home}), encoding="utf-8")
    return made


if __name__ == "__main__":
    for path in write(Facts(), sys.argv[1].rstrip("/"), Path(sys.argv[2])):
        print(path)
