"""Import weight, and an error tree that says what it shows."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import bitstream
from bitstream import errors

ROOT = Path(bitstream.__file__).parents[1]


def modules_after(statement):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_container_needs_the_standard_library_only():
    loaded = modules_after("import bitstream; bitstream.Reader, bitstream.Writer")
    assert not loaded & {"numpy", "constriction", "torch", "av", "click"}


def test_token_functions_bring_in_numpy_but_no_more():
    loaded = modules_after("from bitstream import decode_tokens, StaticTable")
    assert {"numpy", "constriction"} <= loaded
    assert not loaded & {"torch", "av", "click"}


def test_every_public_name_can_be_had():
    for name in bitstream.__all__:
        assert getattr(bitstream, name) is not None
    with pytest.raises(AttributeError):
        bitstream.missing  # noqa: B018


def test_the_error_tree_is_whole():
    classes = {
        name: value
        for name, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, errors.BitstreamError)
    }
    assert set(classes) == set(errors.__all__)
    for name, value in classes.items():
        assert name in errors.__doc__
        assert name in bitstream.__all__
        base = (errors.CorruptError, errors.UnsupportedError)
        if value is not errors.BitstreamError:
            assert issubclass(value, base)
    assert str(errors.NotMvt("one", 3)) == "one (at byte 3)"
    assert str(errors.NotMvt("one")) == "one"
