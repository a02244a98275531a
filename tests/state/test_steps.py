"""Steps in checkpoint names."""

from __future__ import annotations

import pytest

from cloudckpt.state.steps import MAX_STEP, checkpoint_name, step_of


@pytest.mark.parametrize("step", [0, 1, 10, 1000, MAX_STEP])
def test_a_name_gives_its_step_back(step: int) -> None:
    assert step_of(checkpoint_name("ckpt", step), "ckpt") == step


@pytest.mark.parametrize(
    "path",
    ["/abs/run/ckpt-7", "rel/ckpt-7", "C:\\runs\\one\\ckpt-7", "s3://bucket/run/ckpt-7", "../../ckpt-7", "ckpt-7"],
)
def test_folders_of_any_kind_are_passed_over(path: str) -> None:
    assert step_of(path, "ckpt") == 7


@pytest.mark.parametrize(
    "path",
    [
        "ckpt",
        "ckpt-",
        "ckpt-07",
        "ckpt--7",
        "ckpt-+7",
        "ckpt-7 ",
        "ckpt-7\n",
        "ckpt-7.index",
        "ckpt-7/",
        "ckpt-1e3",
        "ckpt-1_0",
        "ckpt-\u0667",  # a digit, to `\d` and int()
        "ckpt-1\u0667",
        "ckpt-best-7",
        "xckpt-7",
        "CKPT-7",
        "ckpt-" + "9" * 5000,  # more digits than int() takes
        "",
    ],
)
def test_what_a_manager_would_not_write_is_no_step(path: str) -> None:
    assert step_of(path, "ckpt") is None


def test_a_base_name_is_no_pattern() -> None:
    assert step_of("model+ckpt-7", "model.ckpt") is None
    assert step_of("model.ckpt-7", "model.ckpt") == 7
