"""The error tree: exit codes, one line, remedies, pickling."""

from __future__ import annotations

import pickle

import pytest

from nvcodec import errors


@pytest.mark.parametrize(
    ("name", "code"),
    [("NvcodecError", 1), ("InputError", 1), ("OutputError", 1), ("UsageError", 2),
     ("CorruptFileError", 3), ("UnsupportedFileError", 4)],
)  # fmt: skip
def test_tree(name: str, code: int) -> None:
    kind = getattr(errors, name)
    error = kind("a.mp4: is\n broken", "copy it  again")
    assert isinstance(error, errors.NvcodecError) and error.exit_code == code
    assert str(error) == "a.mp4: is broken; copy it again"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)


def test_the_tree_in_the_docstring_is_complete() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert name in errors.__doc__
