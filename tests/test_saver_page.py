"""The pages about savers leave out nothing of TensorFlow's own pages, and each row names a test that shows it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_docs import NAMED_TEST

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
ROW = re.compile(r"^\| (?:`(\w+)[^`|]*`|[^|]*) \|.*\|$", re.MULTILINE)
HEAD = re.compile(
    r"^\| (argument|raises|returns|attribute|method|function of .*|who|what is restored|TensorFlow) \||^\|---",
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


@pytest.mark.parametrize("page", ["train-saver.md", "eager-saver.md", "checkpoint.md"])
def test_every_row_names_a_test(page: str) -> None:
    assert [line for _, _, line in rows(page) if not NAMED_TEST.search(line)] == []
