"""Hostile files at the command line: an exit code, one line, little memory, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bitstream
from nvcodec.cli.app import run
from tests.attacks.make_attacks import TABLE

FOLDER = Path(__file__).parents[1] / "attacks"
ROWS = [line.split("\t")[:2] for line in (FOLDER / "attacks.tsv").read_text().splitlines()[1:]]
MEMORY_KIB = 200 << 10


@pytest.fixture(autouse=True)
def _table_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release with the table that the files name, so that their tokens are really decoded."""
    folder = tmp_path / "release"
    folder.mkdir()
    TABLE.save(folder / "a.table")
    entry = {"config": "tiny", "weights": "none", "sha256": bytes(range(32)).hex(),
             "table": "a.table", "table_sha256": TABLE.sha256.hex()}
    (folder / "index.json").write_text(json.dumps({"tiny": entry}))
    monkeypatch.setenv("NVCODEC_MODELS", str(folder))


@pytest.mark.parametrize(("name", "error"), ROWS, ids=[r[0] for r in ROWS])
def test_every_attack_ends_in_one_line(name: str, error: str,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    unsupported = issubclass(getattr(bitstream, error), bitstream.UnsupportedError)
    assert run(["verify", str(FOLDER / "files" / name)]) == (4 if unsupported else 3)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err


def test_memory_stays_small() -> None:
    """All attacks in one process; the peak of its memory is the kernel's own figure (Linux)."""
    code = (
        "import sys; from nvcodec.cli.app import run\n"
        "for f in sys.argv[1:]: assert run(['verify', f, '--quiet']) in (3, 4), f\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])")
    files = [str(FOLDER / "files" / name) for name, _ in ROWS]
    out = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True,
                         check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert int(out.stdout) < MEMORY_KIB
