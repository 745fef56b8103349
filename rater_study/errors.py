"""What a person who runs a study can mend, beside the usage errors of nvcodec.errors."""

from __future__ import annotations

from nvcodec.errors import NvcodecError


class StudyError(NvcodecError):
    """Exit code 1: something of a study is missing, damaged or in the way."""
