"""The pages about savers and managers leave out nothing, and each row names a test that shows it.

What is to be on a page is what TensorFlow's own pages have, or, of our manager, what its class has.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import cloudckpt as ckpt
from tests.test_docs import NAMED_TEST

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
ROW = re.compile(r"^\| (?:`(\w+)[^`|]*`|[^|]*) \|.*\|$", re.MULTILINE)
HEAD = re.compile(
    r"^\| (argument|raises|returns|attribute|method|function of .*|who|what is (saved|restored)|shown|TensorFlow)"
    r" \||^\| Keras \||^\|---",
    re.MULTILINE,
)

# The names on the pages of `tf.compat.v1.train.Saver`, `tf.contrib.eager.Saver` and `tf.train.Checkpoint`, in order.
SAVER = {
    "Saver": """
        var_list reshape sharded max_to_keep keep_checkpoint_every_n_hours name restore_sequentially saver_def builder
        defer_build allow_empty write_version pad_step_number save_relative_paths filename
        TypeError ValueError RuntimeError last_checkpoints""",
    "export_meta_graph": """
        filename collection_list as_text export_scope clear_devices clear_extraneous_savers strip_default_attrs
        save_debug_info""",
    "restore": "sess save_path ValueError",
    "save": """
        sess save_path global_step latest_filename meta_graph_suffix write_meta_graph write_state strip_default_attrs
        save_debug_info None TypeError ValueError RuntimeError""",
    "Other methods": """
        as_saver_def build from_proto recover_last_checkpoints set_last_checkpoints set_last_checkpoints_with_time
        to_proto""",
    "Around it": """
        latest_checkpoint get_checkpoint_state update_checkpoint_state generate_checkpoint_state_proto checkpoint_exists
        get_checkpoint_mtimes remove_checkpoint SaverDef import_meta_graph export_meta_graph init_from_checkpoint
        list_variables load_variable load_checkpoint checkpoints_iterator""",
}
EAGER_SAVER = {"Saver": "var_list RuntimeError", "save": "file_prefix global_step", "restore": "file_prefix"}
CHECKPOINT = {
    "Checkpoint": "root kwargs ValueError save_counter",
    "Saving": "file_prefix options",
    "Restoring": "save_path options CheckpointNotFoundError",
    "Status": """
        assert_consumed assert_existing_objects_matched assert_nontrivial_match expect_partial initialize_or_restore
        run_restore_ops""",
    "CheckpointOptions": """
        experimental_io_device experimental_enable_async_checkpoint experimental_write_callbacks enable_async
        experimental_skip_slot_variables experimental_sharding_callback""",
}
NAMES = [
    (page, section, name)
    for page, sections in (("train-saver.md", SAVER), ("eager-saver.md", EAGER_SAVER), ("checkpoint.md", CHECKPOINT))
    for section, names in sections.items()
    for name in names.split()
]


def rows(page: str) -> list[tuple[str, str | None, str]]:
    """Every row of the page's tables: its section, the name that it is about, and the whole line."""
    _, *parts = SECTION.split((REFERENCE / page).read_text())
    return [
        (section, row[1], row[0])
        for section, text in zip(parts[::2], parts[1::2], strict=True)
        for row in ROW.finditer(text)
        if not HEAD.match(row[0])
    ]


@pytest.mark.parametrize(("page", "section", "name"), NAMES)
def test_every_name_of_tensorflows_pages_has_its_row(page: str, section: str, name: str) -> None:
    assert name in {named for where, named, _ in rows(page) if where == section}


def departing_programs() -> set[str]:
    """The programs in which ours and TensorFlow's observe something else on purpose."""
    return {
        f"tests/programs/{path.name}::{node.name}"
        for path in (Path(__file__).parent / "programs").glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "over_both" and decorator.keywords
    }


def test_every_difference_from_tensorflow_has_its_row() -> None:
    listed = "".join(line for section, _, line in rows("train-saver.md") if section == "Differences from TensorFlow")
    assert departing_programs() == {"::".join(found.groups()) for found in NAMED_TEST.finditer(listed)}


@pytest.mark.parametrize(
    "page", ["train-saver.md", "eager-saver.md", "checkpoint.md", "manager.md", "train-checkpoint-manager.md"]
)
def test_every_row_names_a_test(page: str) -> None:
    shown = [line for section, _, line in rows(page) if not section.startswith("Coming from")]
    assert shown
    assert [line for line in shown if not NAMED_TEST.search(line)] == []


def stated_arguments(page: str, section: str) -> dict[str, str | None]:
    """The arguments in a section's first table, and the default that each is said to have."""
    text = (REFERENCE / page).read_text().partition(f"## {section}\n")[2].partition("| argument |")[2]
    table = text.partition("\n\n")[0]
    return {found[1]: found[2] for found in re.finditer(r"^\| `(\w+)(?:=([^`]+))?` \|", table, re.MULTILINE)}


def arguments_of(function: Any) -> dict[str, str | None]:
    """The arguments of a function or class, and the source of their defaults."""
    return {
        name: None if parameter.default is parameter.empty else repr(parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    }


@pytest.mark.parametrize(
    ("page", "section", "function"),
    [
        ("manager.md", "CheckpointManager", ckpt.CheckpointManager),
        ("manager.md", "save", ckpt.CheckpointManager.save),
        ("train-checkpoint-manager.md", "CheckpointManager", ckpt.train.CheckpointManager),
        ("train-checkpoint-manager.md", "save", ckpt.train.CheckpointManager.save),
    ],
)
def test_every_argument_of_a_manager_has_its_row_and_its_default(page: str, section: str, function: Any) -> None:
    assert list(stated_arguments(page, section).items()) == list(arguments_of(function).items())


def test_what_a_manager_restores_by_has_its_rows() -> None:
    stated = stated_arguments("manager.md", "restore_latest")
    assert stated.pop("default") is None  # what stands for none is nothing that a reader could write
    of_latest, of_one = (
        {name: default for name, default in arguments_of(method).items() if name not in {"default", "step"}}
        for method in (ckpt.CheckpointManager.restore_latest, ckpt.CheckpointManager.restore)
    )
    assert stated == of_latest == of_one


def test_every_method_of_a_manager_has_its_row() -> None:
    named = [name for section, name, _ in rows("manager.md") if section == "Methods and attributes"]
    assert sorted(filter(None, named)) == [name for name in dir(ckpt.CheckpointManager) if not name.startswith("_")]
