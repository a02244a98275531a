"""Every Python block of the README and the docs runs, and what they point at is there.

The blocks of a page run in order in one namespace and an empty folder. `s3://` and `gs://` lead to local servers that
have a bucket of the name that the page uses. A block that can't run here says why, in a comment on the line before it:
`<!-- not run: the reason -->`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

if TYPE_CHECKING:
    from tests.servers import ObjectServer

REPOSITORY = Path(__file__).parent.parent
TOP_PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = TOP_PAGES + sorted((REPOSITORY / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: \S.+ -->$")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
COMMAND = re.compile(r"(?:^|`)make ([a-z]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z]+):.*## ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One Python block of a page."""

    code: str
    line: int
    runs: bool


def blocks(page: Path) -> list[Block]:
    """The page's Python blocks in order."""
    text = page.read_text()
    return [
        Block(found[1], text.count("\n", 0, found.start(1)), not NOT_RUN.search(text[: found.start()].rstrip("\n")))
        for found in BLOCK.finditer(text)
    ]


def identify(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


pages_with_code = [page for page in PAGES if "```python" in page.read_text()]


@pytest.fixture
def s3_environment(moto_s3: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3 server that botocore's own environment variables lead to, as they would to a user's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_s3.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto_s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto_s3.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", moto_s3.region)


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", pages_with_code, ids=identify)
def test_the_blocks_of_a_page_run(page: Path, empty_folder: Path, request: pytest.FixtureRequest) -> None:
    to_run = [block for block in blocks(page) if block.runs]
    if any("s3://" in block.code for block in to_run):
        request.getfixturevalue("s3_environment")
        for bucket in {name for block in to_run for name in re.findall(r"s3://([\w-]+)", block.code)}:
            make_empty_bucket(bucket)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in to_run:
        # Blank lines before it make tracebacks give the line of the page.
        exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)


def make_empty_bucket(name: str) -> None:
    """Make a bucket, or empty it of what another page left, on the server that the environment names."""
    client = botocore.session.Session().create_client("s3")
    client.create_bucket(Bucket=name)
    for item in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=item["Key"])
    client.close()


@pytest.mark.parametrize("page", pages_with_code, ids=identify)
def test_no_block_is_overlooked(page: Path) -> None:
    assert len(blocks(page)) == page.read_text().count("```python")


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


def defined_tests(path: Path) -> set[str]:
    """The tests of a file: those in classes, too."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_the_tests_that_a_page_names_are_there(page: Path) -> None:
    named = {found.groups() for found in NAMED_TEST.finditer(page.read_text())}
    files = {file: REPOSITORY / file for file, _ in named}
    defined = {file: defined_tests(path) for file, path in files.items() if path.exists()}
    assert {f"{file}::{test}" for file, test in named if test not in defined.get(file, ())} == set()


def test_the_commands_that_pages_name_are_targets() -> None:
    targets = set(TARGET.findall((REPOSITORY / "Makefile").read_text()))
    named = {command for page in PAGES for command in COMMAND.findall(page.read_text())}
    assert {"demo", "test", "check"} <= named
    assert named <= targets
