"""Several processes through torchrun: each sees its own clips, all keep the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("recipe", ["codec", "paper"])
def test_two_processes_stay_equal(recipe: str, carphone: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.mp4").symlink_to(carphone)
    root = Path(__file__).parents[2]
    script = Path(__file__).with_name("two_processes.py")
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(script), str(data), str(tmp_path / "cache"), str(tmp_path), recipe],
        check=True, capture_output=True, cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)})
    first, second = ((tmp_path / f"{rank}.txt").read_text() for rank in (0, 1))
    assert first == second and first.startswith("2 ")
