"""The fuzzers' corpus: every input that was ever worth keeping runs as a test, without the fuzzer."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from cloudckpt.verification.verify import verify_prefix
from fuzz import __main__ as runner
from fuzz import checkpoints
from fuzz.chunks import join_chunks, mutate_chunks, split_chunks
from fuzz.seeds import CORPUS, seeds
from fuzz.targets import CHUNKED, TARGETS

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_of_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_that_are_nothing(target: str) -> None:
    for data in (b"", b"\0", b"\xff" * 7, bytes(range(256))):
        TARGETS[target](data)


def test_the_seeds_are_those_that_the_script_writes() -> None:
    written = {(path.parent.name, path.name): path.read_bytes() for path in INPUTS if path.name.startswith("seed-")}
    assert {(target, f"seed-{name}"): content for target, name, content in seeds()} == written
    assert {target for target, _ in written} == {*TARGETS}


def test_seeds_get_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole checkpoints: a fuzzer that starts from what is refused at once would find nothing."""
    reports = []

    def recorded(*args: object) -> object:
        reports.append(verify_prefix(*args))  # type: ignore[arg-type]
        return reports[-1]

    monkeypatch.setattr(checkpoints, "verify_prefix", recorded)
    for target in ("v1", "v2"):
        for path in sorted((CORPUS / target).glob("seed-*")):
            TARGETS[target](path.read_bytes())
    assert len(reports) == 6
    assert all(report.ok and report.tensors_checked == 3 for report in reports)


@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"", b"bc"], [bytes(300)] * 3])
def test_parts_are_joined_and_split(parts: list[bytes]) -> None:
    assert split_chunks(join_chunks(parts)) == parts


def test_a_mutation_leaves_parts_whole() -> None:
    random = Random(0)
    whole = join_chunks([b"first", b"second", b"third"])
    seen = set()
    for _ in range(200):
        changed = mutate_chunks(whole, 64, random, lambda part, size: (part + b"!")[:size])
        assert len(changed) <= 64
        assert {*split_chunks(changed)} <= {b"first", b"second", b"third", b"", b"first!", b"second!", b"third!"}
        seen.add(changed)
    assert len(seen) > 10


def test_every_target_of_parts_is_a_target() -> None:
    assert {*CHUNKED} < {*TARGETS}


def test_without_atheris_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "1"])
    runner.main()
    assert "atheris is not installed" in capsys.readouterr().out
