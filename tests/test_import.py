"""The front door: what importing it costs, and that what it shows is whole, sorted and documented."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import cloudckpt

REPOSITORY = Path(__file__).parent.parent
INTEGRATIONS = {"aiobotocore", "aiohttp", "boto3", "botocore", "gcsfs", "google.auth", "requests", "s3fs"}
FRAMEWORKS = {"jax", "keras", "tensorflow", "torch"}
DOORS = {"compat", "eager", "keep", "preemption", "raw_ops", "reports", "train"}
PROGRAM = "import json, sys, cloudckpt; print(json.dumps(sorted(sys.modules)))"


@pytest.fixture(scope="module")
def imported() -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that imported cloudckpt, and printed what that loaded."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)


def test_import_loads_no_integration_and_no_framework(imported: subprocess.CompletedProcess[str]) -> None:
    loaded = set(json.loads(imported.stdout))
    assert "cloudckpt" in loaded
    assert not loaded & (INTEGRATIONS | FRAMEWORKS)


@pytest.mark.parametrize("door", sorted(DOORS))
def test_a_door_is_imported_when_it_is_asked_for(imported: subprocess.CompletedProcess[str], door: str) -> None:
    assert f"cloudckpt.{door}" not in json.loads(imported.stdout)
    program = f"import cloudckpt; assert cloudckpt.{door}.__name__ == 'cloudckpt.{door}'"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, cwd=REPOSITORY)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = cloudckpt.no_such_name


def test_import_prints_and_warns_nothing(imported: subprocess.CompletedProcess[str]) -> None:
    assert len(imported.stdout.splitlines()) == 1
    assert imported.stderr == ""


def test_all_is_sorted_and_without_repeats() -> None:
    assert list(cloudckpt.__all__) == sorted(set(cloudckpt.__all__))


def test_all_names_everything_public_and_nothing_else() -> None:
    public = {
        name
        for name, value in vars(cloudckpt).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert (public - {"TYPE_CHECKING", "Any"}) | DOORS == set(cloudckpt.__all__)


@pytest.mark.parametrize("name", sorted(set(getattr(cloudckpt, "__all__", [])) - {"__version__"}))
def test_every_public_name_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(cloudckpt, name)
    inherited = [getattr(base, "__doc__", None) for base in getattr(value, "__mro__", [value])[1:]]
    assert inspect.getdoc(value)
    assert value.__doc__ not in inherited


@pytest.mark.parametrize("name", sorted(set(getattr(cloudckpt, "__all__", [])) - {"__version__"}))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    reference = "\n".join(page.read_text() for page in (REPOSITORY / "docs" / "reference").glob("*.md"))
    in_a_documented_module = name in cloudckpt.errors.__all__ and "automodule:: cloudckpt.errors" in reference
    assert in_a_documented_module or f":: cloudckpt.{name}\n" in reference


PUBLIC = {name: getattr(cloudckpt, name) for name in cloudckpt.__all__ if name not in DOORS}
BEHIND_DOORS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (
        cloudckpt.compat.v1,
        cloudckpt.compat.initializers,
        cloudckpt.eager,
        cloudckpt.raw_ops,
        cloudckpt.train,
    )
    for name in module.__all__
}
PUBLIC |= {name: value for name, value in BEHIND_DOORS.items() if inspect.isclass(value) or inspect.isfunction(value)}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_method_has_a_docstring(name: str) -> None:
    value = PUBLIC[name]
    if inspect.isclass(value):
        methods = {key: member for key, member in vars(value).items() if not key.startswith("_") and callable(member)}
        assert [key for key, member in methods.items() if not inspect.getdoc(member)] == []
    else:
        assert inspect.isfunction(value)
