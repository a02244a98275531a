"""Fuzzes all targets one after the other, or those that are named: `python -m fuzz --seconds 60 [TARGET ...]`."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.seeds import CORPUS
from fuzz.targets import TARGETS

EXECUTED = re.compile(r"number_of_executed_units: *([0-9]+)")
REPOSITORY = Path(__file__).parent.parent
LIMITS = ["-timeout=20", "-rss_limit_mb=2048", "-max_len=8192", "-verbosity=0", "-print_final_stats=1"]
"""An input may take so many seconds, the process so many MiB, and an input has so many bytes."""


def main() -> None:
    """Exit with 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together (60)")
    parser.add_argument("--keep", type=Path, help="a folder to go on from, and to keep new inputs in")
    arguments = parser.parse_args()
    targets = arguments.targets or [*TARGETS]
    if unknown := {*targets} - {*TARGETS}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        # It has wheels for Linux and some versions of Python only. The corpus runs as tests everywhere.
        say("atheris is not installed, or there is none for this system: nothing was fuzzed. See fuzz/README.md")
        return
    with tempfile.TemporaryDirectory() as folder:
        keep = arguments.keep or Path(folder)
        found = [target for target in targets if not fuzz(target, arguments.seconds / len(targets), keep)]
    say(f"found something in: {', '.join(found)}" if found else "found nothing")
    sys.exit(1 if found else 0)


def fuzz(target: str, seconds: float, keep: Path) -> bool:
    """Fuzz one target for a time. Returns whether nothing was found; what was found is a file that it names."""
    inputs, findings = keep / target, REPOSITORY / "fuzz" / "findings"
    inputs.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    time_limit = f"-max_total_time={max(1, round(seconds))}"
    artifacts = f"-artifact_prefix={findings}/{target}-"
    command = [
        sys.executable,
        "-m",
        "fuzz.one",
        target,
        *LIMITS,
        time_limit,
        artifacts,
        str(inputs),
        str(CORPUS / target),
    ]
    done = subprocess.run(  # noqa: S603 - our own module
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        say("\n".join(line for line in done.stdout.splitlines() if "Instrumenting" not in line))
        say(f"{target}: see above. When it is mended, move the input that it names to {CORPUS / target}: it is a test")
        return False
    runs = EXECUTED.search(done.stdout)
    kept = len([*inputs.iterdir()])
    say(f"{target}: {runs[1] if runs else 'no'} inputs in {seconds:.0f} s, {kept} of them worth keeping")
    return True


def say(line: str) -> None:
    """Print it at once, so that the lines of a log are in order."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
