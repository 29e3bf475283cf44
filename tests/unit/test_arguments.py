"""Arguments of operations: parsed once, for every way in."""
from __future__ import annotations

import pytest

from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations.arguments import TYPES, check_arguments
from qrm_tui.core.operations.registry import OPERATIONS, find


def test_every_argument_has_a_known_type_and_words() -> None:
    for operation in OPERATIONS.values():
        names = [argument.name for argument in operation.arguments]
        assert len(names) == len(set(names))
        for argument in operation.arguments:
            assert argument.type in TYPES, f"{operation.name} {argument.name}"
            assert argument.help and not argument.help.endswith(".")
        assert operation.example.startswith(f"qrm {operation.kind} {operation.verb}")
        if operation.subject:
            assert operation.argument(operation.subject).required


def test_keys_of_a_kind_are_its_own() -> None:
    for kind in {operation.kind for operation in OPERATIONS.values()}:
        keys = [operation.key for operation in OPERATIONS.values() if operation.kind == kind and operation.key]
        assert len(keys) == len(set(keys))


def test_text_and_lists_and_settings() -> None:
    add = find("image.add")
    parsed = check_arguments(add.arguments, {"name": "web", "size": "5000M", "env": {"CREATE_FROM": "a"}})
    assert parsed == {"name": "web", "storage": None, "size": 5000 << 20, "fs": "ext4", "register_only": None,
                      "env": {"CREATE_FROM": "a"}}
    assert check_arguments(add.arguments, {"name": "web", "env": ["A=1", "B=x=y"]})["env"] == {"A": "1", "B": "x=y"}


def test_what_was_parsed_can_be_parsed_again() -> None:
    clone = find("image.clone")
    once = check_arguments(clone.arguments, {"source": "a", "name": "b", "reserve": "30%"})
    assert check_arguments(clone.arguments, once) == once


def test_every_trouble_is_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        check_arguments(find("image.add").arguments, {"name": "../x", "size": "-1", "fs": "btrfs", "colour": "red"})
    told = "\n".join(caught.value.reasons)
    assert len(caught.value.reasons) == 4
    for word in ("name:", "size:", "fs:", "colour:"):
        assert word in told


@pytest.mark.parametrize("value", [5.5, {"a": 1}, None, [1, [2]], True])
def test_values_of_another_json_type_are_refused(value: object) -> None:
    with pytest.raises(BadInput):
        check_arguments(find("image.remove").arguments, {"name": value})


def test_no_local_disk_may_also_be_said_as_a_number() -> None:
    create = find("partition.create").arguments
    assert check_arguments(create, {"host": "r1", "disk": "0"}) == check_arguments(create, {"host": "r1"})
    with pytest.raises(BadInput, match="memory: '0': a size is more than 0"):
        check_arguments(create, {"host": "r1", "memory": "0"})


def test_of_a_few_words_those_are_told() -> None:
    with pytest.raises(BadInput, match=r"name: is needed \(one of address, firewall"):
        check_arguments(find("install.fix").arguments, {})


@pytest.mark.parametrize("verb", ["create", "resize"])
def test_memory_of_less_than_there_can_be_is_that_argument_s_own_fault(verb: str) -> None:
    (memory,) = [argument for argument in find(f"partition.{verb}").arguments if argument.name == "memory"]
    with pytest.raises(BadInput, match="memory: '1' is less than 1M; a bare number"):
        check_arguments([memory], {"memory": "1"})
    assert check_arguments([memory], {"memory": "1M"}) == {"memory": 1 << 20}
