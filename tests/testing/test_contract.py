"""The contract itself."""

from __future__ import annotations

from collections import Counter

from cloudckpt.testing import StoreContract


def test_no_part_of_the_contract_hides_a_test_of_another():
    names = [name for part in StoreContract.__mro__ for name in vars(part) if name.startswith("test_")]
    assert [name for name, count in Counter(names).items() if count > 1] == []
