"""Tests that need what neither this package nor pip brings: a browser, LPIPS backbone weights."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(problem: str, variable: str) -> NoReturn:
    """Skip the test; where the environment variable is set, as a build server should, fail it."""
    if os.environ.get(variable):
        pytest.fail(problem)
    pytest.skip(f"{problem}; {variable}=1 makes this a failure")
