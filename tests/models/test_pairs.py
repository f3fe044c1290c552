"""Input that is not made of pairs is refused with its position and type, and without its values."""

from __future__ import annotations

import pytest

from httpx_fast._pairs import check_pairs


@pytest.mark.parametrize("given", [[("a", "1")], (["a", "1"],), [], iter(["ab", 3])])
def test_pairs_and_iterators_pass(given):
    check_pairs(given, "headers")


def test_what_cannot_be_iterated_is_a_type_error():
    with pytest.raises(TypeError, match=r"^params is int; expected a mapping, or pairs of name and value$"):
        check_pairs(3, "params")


@pytest.mark.parametrize("given", ["secret", b"secret"])
def test_text_and_bytes_are_no_pairs(given):
    with pytest.raises(ValueError, match=rf"^cookies is {type(given).__name__}; expected a mapping") as caught:
        check_pairs(given, "cookies")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("item", "seen"),
    [("ab", "str"), (b"ab", "bytes"), (3, "int"), (("secret",), "tuple of 1"), (["a", "secret", "c"], "list of 3")],
)
def test_the_first_item_that_is_no_pair_is_named_without_its_values(item, seen):
    with pytest.raises(ValueError, match=rf"^files has {seen} at index 1; expected a mapping") as caught:
        check_pairs([("a", "1"), item, 5], "files")
    assert "secret" not in str(caught.value)
