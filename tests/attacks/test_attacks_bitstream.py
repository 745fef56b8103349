"""Every malformed stream is refused with exactly the class that attacks.tsv names."""

import io
import tracemalloc

import pytest
from make_attacks import FILE, HERE, TABLE, cases, covered_file, whole_file

import bitstream
from bitstream import (
    BitstreamError,
    CorruptError,
    Reader,
    Segment,
    StreamReader,
    UnsupportedError,
    background_of,
    check_table,
    decode_tokens,
    scan,
)

ROWS = [line.split("\t") for line in (HERE / "attacks.tsv").read_text().splitlines()[1:]]


class Pipe(io.BytesIO):
    """A stream that cannot seek."""

    def seekable(self):
        return False


def decode_all(header, segments):
    check_table(header, TABLE)
    for segment in segments:
        background_of(segment, header)
        shape = header.token_shape(segment.frame_count, segment.spacing)
        decode_tokens(segment.payload, shape, header.coder, TABLE, segment.qp, header.token_bits)


def read_by_index(data):
    reader = Reader(io.BytesIO(data))
    assert isinstance(reader.meta, dict)
    assert len(list(reader.audio())) == len(reader.index.audio)
    decode_all(reader.header, reader.iter_segments())


def read_through(data):
    stream = StreamReader(Pipe(data))
    decode_all(stream.header, [item for item in stream if isinstance(item, Segment)])


@pytest.mark.parametrize("read", [read_by_index, read_through])
@pytest.mark.parametrize(("name", "error"), ROWS, ids=[row[0] for row in ROWS])
def test_each_file_gives_its_own_error(name, error, read):
    data = (HERE / "files" / name).read_bytes()
    tracemalloc.start()
    with pytest.raises(BitstreamError) as caught:
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert type(caught.value).__name__ == error
    assert "\n" not in str(caught.value)
    assert peak < 64 << 20


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
def test_scan_survives_each_file(name):
    data = (HERE / "files" / name).read_bytes()
    try:
        statuses = list(scan(io.BytesIO(data)))
    except (CorruptError, UnsupportedError):
        return
    assert sum(status.size for status in statuses) <= len(data)


@pytest.mark.parametrize("read", [read_by_index, read_through])
def test_the_file_they_were_made_from_is_whole(read):
    read(FILE)
    read(whole_file())
    read(covered_file())


def test_every_error_class_has_a_file():
    abstract = {"BitstreamError", "CorruptError", "UnsupportedError"}
    own_file = {"BadTable"}
    classes = {
        name
        for name in bitstream.__all__
        if isinstance(getattr(bitstream, name), type)
        and issubclass(getattr(bitstream, name), BitstreamError)
    }
    assert {error for _, error in ROWS} == classes - abstract - own_file


def test_files_are_those_that_the_script_makes():
    made = {f"{name}.mvt": data for name, (_, data) in cases().items()}
    stored = {path.name: path.read_bytes() for path in (HERE / "files").glob("*.mvt")}
    assert stored == made
