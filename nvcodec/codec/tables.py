"""The static probability table that a release or a file's header names."""

from __future__ import annotations

import bitstream
from nvcodec.models import registry


def load_table(release: registry.Release) -> bitstream.StaticTable:
    """The release's table; ModelError where it has none or the file is another one."""
    if release.table is None:
        raise registry.ModelError(f"model {release.id!r} has no table; use --prior none")
    table = bitstream.StaticTable.load(release.table)
    if table.sha256.hex() != release.table_sha256:
        raise registry.ModelError(
            f"{release.table} is damaged: its hash is not the index's; reinstall it")
    return table


def table_for(header: bitstream.Header) -> bitstream.StaticTable | None:
    """The table a file was coded with, None for raw tokens; ModelError where it is not here."""
    if header.coder == bitstream.CODER_RAW:
        return None
    for release in registry.releases():
        if (header.coder == bitstream.CODER_TABLE and release.table is not None
                and release.table_sha256 == header.prior_sha256.hex()):
            return load_table(release)
    raise registry.ModelError(
        f"the file needs prior {header.prior!r} with hash {header.prior_sha256.hex()[:16]}..., "
        "which is not here; install the nvcodec version that wrote it")
