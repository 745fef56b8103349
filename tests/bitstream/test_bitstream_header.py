import pytest
from bitstream_samples import QUICK, make_header
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BACKGROUNDS, BadHeader, CapExceeded, Header, UnknownCoder

WORD = st.integers(1, 2**32 - 1)
NAME = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@QUICK
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    words=st.tuples(*[WORD] * 6),
    bytes_=st.tuples(*[st.integers(0, 255)] * 3),
    rotation=st.sampled_from([0, 90, 180, 270]),
    flags=st.tuples(*[st.booleans()] * 3),
    model=NAME,
    prior=st.none() | st.tuples(st.sampled_from([1, 2]), NAME, st.binary(min_size=32, max_size=32)),
    strides=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    bits=st.integers(1, 24),
    keyint=st.integers(1, 65536),
)
def test_round_trip(
    width, height, pad, words, bytes_, rotation, flags, model, prior, strides, bits, keyint
):
    stride = strides[1]
    coder, prior_id, prior_hash = prior or (0, "", bytes(32))
    header = Header(
        width=width,
        height=height,
        padded_width=(-(-width // stride) + pad[0]) * stride,
        padded_height=(-(-height // stride) + pad[1]) * stride,
        fps_num=words[0],
        fps_den=words[1],
        time_base_num=words[2],
        time_base_den=words[3],
        model=model,
        model_sha256=bytes(range(32)),
        coder=coder,
        prior=prior_id,
        prior_sha256=prior_hash,
        vfr=flags[0],
        primaries=bytes_[0],
        transfer=bytes_[1],
        matrix=bytes_[2],
        full_range=flags[1],
        rotation=rotation,
        sar_num=words[4],
        sar_den=words[5],
        source_bits=bits,
        source_alpha=flags[2],
        time_stride=strides[0],
        spatial_stride=stride,
        token_bits=bits,
        keyint=keyint,
    )
    assert Header.parse(header.pack()) == header


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"width": 0}, BadHeader),
        ({"height": 16385}, CapExceeded),
        ({"padded_width": 33}, BadHeader),
        ({"padded_height": 8}, BadHeader),
        ({"fps_num": 0}, BadHeader),
        ({"time_base_den": 0}, BadHeader),
        ({"sar_den": 2**32}, BadHeader),
        ({"matrix": 256}, BadHeader),
        ({"rotation": 45}, BadHeader),
        ({"source_bits": 0}, BadHeader),
        ({"token_bits": 25}, BadHeader),
        ({"time_stride": 0}, BadHeader),
        ({"spatial_stride": 65}, BadHeader),
        ({"keyint": 0}, BadHeader),
        ({"spacing": 0}, BadHeader),
        ({"spacing": 3}, BadHeader),
        ({"spacing": 0.5}, BadHeader),
        ({"density": 0}, BadHeader),
        ({"density": 4}, BadHeader),
        ({"keyint": 65537}, CapExceeded),
        ({"model": ""}, BadHeader),
        ({"model": "x" * 33}, BadHeader),
        ({"model": "a\nb"}, BadHeader),
        ({"model_sha256": b""}, BadHeader),
        ({"prior": "t"}, BadHeader),
        ({"coder": 1}, BadHeader),
        ({"coder": 1, "prior": "x" * 33}, BadHeader),
        ({"coder": 1, "prior": "t", "prior_sha256": b"1"}, BadHeader),
        ({"coder": 3}, UnknownCoder),
        (
            {"padded_width": 16384, "padded_height": 16384, "spatial_stride": 2},
            CapExceeded,
        ),
    ],
)
def test_fields_out_of_range_are_refused(changes, error):
    with pytest.raises(error, match="HEAD"):
        make_header(**changes)


def test_flags_and_extra_fields():
    payload = bytearray(make_header().pack())
    with pytest.raises(BadHeader, match="follow its last field"):
        Header.parse(bytes(payload) + b"\0", 18)
    assert Header.parse(bytes(payload) + b"\1\1\0new", 18, version=7) == make_header()
    payload[24] |= 8
    with pytest.raises(BadHeader, match="unknown flags"):
        Header.parse(bytes(payload), 18)


def test_faults_of_parsed_fields_carry_an_offset():
    payload = bytearray(make_header().pack())
    payload[0:2] = b"\0\0"
    with pytest.raises(BadHeader) as caught:
        Header.parse(bytes(payload), 18)
    assert caught.value.offset == 18


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (2, 2), (5, 2), (6, 3), (17, 5)])
def test_token_shape(frames, latents):
    assert make_header().token_shape(frames) == (latents, 2, 4)


@pytest.mark.parametrize(("spacing", "density", "backgrounds", "version"),
                         [(1, 1, 0, 1), (2, 1, 0, 2), (4, 1, 0, 2), (1, 2, 0, 3), (4, 2, 0, 3),
                          (1, 1, 1, 4), (4, 2, 1, 4), (1, 1, 2, 5), (4, 2, 2, 5)])
def test_what_segments_may_have_makes_files_of_later_versions(spacing, density, backgrounds,
                                                              version):
    header = make_header(spacing=spacing, density=density, backgrounds=backgrounds)
    assert header.version == version
    assert Header.parse(header.pack(), version=version) == header
    assert len(header.pack()) == len(make_header().pack()) + min(version - 1, 3)


def test_a_header_of_version_2_ends_with_a_spacing():
    payload = make_header(spacing=2).pack()
    with pytest.raises(BadHeader, match="needs 1 bytes"):
        Header.parse(payload[:-1], version=2)
    with pytest.raises(BadHeader, match="spacing is 3"):
        Header.parse(payload[:-1] + b"\3", version=2)
    with pytest.raises(BadHeader, match="follow its last field"):
        Header.parse(payload, version=1)


def test_a_header_of_version_4_says_whether_there_are_backgrounds():
    payload = make_header(spacing=2, backgrounds=1).pack()
    assert payload[-3:] == b"\2\1\1"
    with pytest.raises(BadHeader, match="needs 1 bytes"):
        Header.parse(payload[:-1], version=4)
    with pytest.raises(BadHeader, match="has backgrounds of a later version than its file"):
        Header.parse(payload[:-1] + b"\2", version=4)
    with pytest.raises(BadHeader, match="follow its last field"):
        Header.parse(payload, version=3)
    assert Header.parse(payload[:-1] + b"\0", version=4) == make_header(spacing=2)
    for kind, version in ((2, 5), (BACKGROUNDS, 6)):
        later = make_header(spacing=2, backgrounds=kind)
        assert later.version == version and later.pack() == payload[:-1] + bytes([kind])
        assert Header.parse(later.pack(), version=version) == later
        with pytest.raises(BadHeader, match="has backgrounds of a later version than its file"):
            Header.parse(payload[:-1] + bytes([kind + 1]), version=version)
    with pytest.raises(BadHeader, match=r"backgrounds is 4, allowed are 0\.\.3"):
        make_header(backgrounds=4)


@QUICK
@given(frames=st.integers(1, 300), spacing=st.sampled_from([1, 2, 4, 0.5]))
def test_token_shape_counts_the_frames_that_are_coded(frames, spacing):
    pictures = 2 * frames - 1  # with those between
    coded = {*range(0, pictures, int(2 * spacing)), pictures - 1}
    header = make_header(spacing=4, density=2)
    assert header.token_shape(frames, spacing) == header.token_shape(len(coded))
