from __future__ import annotations

import inspect
import re

import pytest

from engage import errors
from engage.errors import EngageError, InputError, NoCustomers, SettingsError

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if found.__module__ == errors.__name__]


def drawn_tree() -> list[tuple[int, str]]:
    """(depth, name) of every class in the docstring's picture, from top to bottom."""
    lines = re.findall(r"^    ([│ ]*(?:[├└]── )?)([A-Z]\w+)  ", errors.__doc__ or "", re.MULTILINE)
    return [(len(indent) // 4, name) for indent, name in lines]


def class_tree(root: type, depth: int = 0) -> list[tuple[int, str]]:
    below = [found for found in CLASSES if root in found.__bases__]
    return [(depth, root.__name__), *(line for found in below for line in class_tree(found, depth + 1))]


def test_the_drawn_tree_is_the_class_tree():
    drawn = drawn_tree()
    assert len(drawn) == len(CLASSES)
    assert sorted(drawn) == sorted(class_tree(EngageError))
    assert parents(drawn) == {found.__name__: found.__bases__[0].__name__ for found in CLASSES}


def parents(drawn: list[tuple[int, str]]) -> dict[str, str]:
    path = ["Exception"]
    found = {}
    for depth, name in drawn:
        del path[depth + 1 :]
        found[name] = path[-1]
        path.append(name)
    return found


def test_every_error_explains_itself():
    assert [found.__name__ for found in CLASSES if not found.__doc__] == []


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_an_engage_error(error):
    assert issubclass(error, EngageError)


def test_bad_input_is_a_value_error_too():
    """Airflow's API answers a ValueError with 400 and its text."""
    assert issubclass(InputError, ValueError)
    assert issubclass(SettingsError, InputError)
    assert not issubclass(NoCustomers, InputError)
