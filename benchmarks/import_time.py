"""What `import cloudckpt` costs beyond `import numpy`, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.peers import is_installed
from benchmarks.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.options import Options

PROGRAM = "import time; import numpy; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
MODULES = ("cloudckpt", "fsspec", "crc32c", "google.protobuf.text_format", "s3fs", "gcsfs", "boto3")


def measure(options: Options, _folder: Path) -> Report:
    """A row for each module, ours first; the best of some rounds after one that warms the caches."""
    table = Table("import", title="Import, beyond numpy's own", title_justify="left")
    table.add_column("ms", justify="right")
    for module in MODULES:
        if not is_installed(module):
            table.add_row(f"{module}: not installed")
            continue
        seconds = [import_seconds(module) for _ in range(options.rounds + 3)]
        table.add_row(module, f"{1000 * min(seconds[1:]):.0f}")
    return Report([table])


def import_seconds(module: str) -> float:
    """Wall seconds of one import, numpy being there already."""
    command = [sys.executable, "-c", PROGRAM.format(module=module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
