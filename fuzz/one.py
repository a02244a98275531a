"""Fuzzes one target in this process, which ends with the first finding.

`python -m fuzz.one TARGET [options of libFuzzer's] [folders of inputs]`; with a file, that input alone.
"""

from __future__ import annotations

import resource
import sys
from random import Random
from typing import TYPE_CHECKING

import atheris

with atheris.instrument_imports(include=["cloudckpt"]):
    import cloudckpt.verification.verify  # noqa: F401 - with all that it reads by, before anything else imports it
    from cloudckpt.checkpoint import parallel
    from fuzz.targets import CHUNKED, TARGETS

from fuzz.chunks import mutate_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MEMORY_BYTES = 4 << 30
"""What this process may map: an allocation that no input backs fails at once."""


def in_turn(tasks: Iterable[Callable[[], None]], *, threads: int) -> None:  # noqa: ARG001 - takes what the other takes
    """What `run_side_by_side` does, in this thread: what an input leads to must not depend on chance."""
    for task in tasks:
        task()


def without_threads() -> None:
    """Let every module of ours do one thing after the other."""
    for module in [module for name, module in sys.modules.items() if name.startswith("cloudckpt.")]:
        if getattr(module, "run_side_by_side", None) is parallel.run_side_by_side:
            module.run_side_by_side = in_turn  # type: ignore[attr-defined]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change what is in a part, and keep the parts: libFuzzer's custom mutator."""
    return mutate_chunks(data, max_size, Random(seed), atheris.Mutate)  # noqa: S311 - repeatable, not secret


def main() -> None:
    """Run until an option of libFuzzer's, or a finding, ends it."""
    target = sys.argv.pop(1)
    without_threads()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    options = {"custom_mutator": mutate} if target in CHUNKED else {}
    atheris.Setup(sys.argv, TARGETS[target], **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
