"""A build backend (PEP 517) that needs nothing but Python, so that pip builds the package beside it without a network."""

from __future__ import annotations

import zipfile
from pathlib import Path

NAME, VERSION = "acme_tasks", "1.0"
INFO = f"{NAME}-{VERSION}.dist-info"
FILES = {
    "METADATA": f"Metadata-Version: 2.1\nName: acme-tasks\nVersion: {VERSION}\nRequires-Dist: taskq\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "entry_points.txt": "[taskq.tasks]\nacme = acme.tasks\n",
}


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: object = None) -> str:
    """Write the wheel; its name."""
    files = {str(path): path.read_text() for path in Path("acme").rglob("*.py")}
    files |= {f"{INFO}/{name}": text for name, text in FILES.items()}
    files[f"{INFO}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{INFO}/RECORD"])
    wheel = f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel
