"""A camera that moves: corners of the picture, exactness, and agreement with FORMAT.md."""

from dataclasses import replace

import numpy as np
import pytest
from bitstream_samples import QUICK, make_header
from hypothesis import example, given
from hypothesis import strategies as st
from plain_background import PlainCoder, plain_levels, plain_moves, plain_told
from test_bitstream_background import make_background
from test_bitstream_entropy import reference_decode

from bitstream import (
    BACKGROUNDS,
    MAX_MOVE,
    Background,
    BadSegment,
    BadTokens,
    BitEncoder,
    Segment,
    background_of,
    is_plausible,
)
from bitstream.adaptive import Sink, Source
from bitstream.camera import code_moves


def path(pictures, seed=0, largest=40):
    """Moves that go on as they did, more or less."""
    steps = np.random.default_rng(seed).normal(0, largest / 9, (pictures, 4, 2))
    return np.clip(np.rint(steps.cumsum(0).cumsum(0)), -MAX_MOVE, MAX_MOVE).astype(np.int16)


def packed(moves):
    sink = Sink()
    assert np.array_equal(code_moves(sink, len(moves), moves), moves)
    return sink.encoder.finish()


@QUICK
@given(st.lists(st.lists(st.integers(-MAX_MOVE, MAX_MOVE), min_size=8, max_size=8), min_size=1,
                max_size=20))
@example([[0] * 8] * 30)
@example([[MAX_MOVE] * 8, [-MAX_MOVE] * 8, [MAX_MOVE, -MAX_MOVE] * 4, [-MAX_MOVE, MAX_MOVE] * 4])
@example([[MAX_MOVE, 0, -MAX_MOVE, 0, -MAX_MOVE, 0, MAX_MOVE, 0],
          [-MAX_MOVE, 0, MAX_MOVE, 0, MAX_MOVE, 0, -MAX_MOVE, 0]] * 3)
def test_any_moves_come_back(numbers):
    moves = np.array(numbers, np.int16).reshape(-1, 4, 2)
    source = Source(packed(moves))
    found = code_moves(source, len(moves))
    source.decoder.finish()
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, moves)


@pytest.mark.parametrize("moves", [
    path(30), path(5, 1, 3000), path(1, 2), np.zeros((9, 4, 2), np.int16),
    np.random.default_rng(4).integers(-50, 50, (12, 4, 2)).astype(np.int16),
], ids=["smooth", "far", "one", "none", "shaken"])
def test_bits_are_those_of_the_format_page(moves):
    coder = PlainCoder()
    plain_moves(coder, moves)
    assert reference_decode(packed(moves), coder.probabilities) == coder.bits


def test_they_come_after_all_else_in_a_background():
    made = replace(make_background(20, 9, 3, 0.8, 0.1), moves=path(9, 3, 4))
    coder = PlainCoder()
    for number, plane in enumerate(made.planes):
        if number < 2:
            coder.forget()
        plain_told(coder, plane.told, made.planes[0].told if number else None)
        plain_levels(coder, plane, made.fade)
    plain_moves(coder, made.moves)
    data = made.pack()
    assert data[2] == made.step + 64
    assert reference_decode(data[3:], coder.probabilities) == coder.bits
    header = make_header(backgrounds=BACKGROUNDS, width=20, height=9)
    found = background_of(Segment(tuple(range(9)), b"", background=data), header)
    np.testing.assert_array_equal(found.moves, made.moves)


def test_a_camera_that_goes_on_costs_little():
    steady = np.arange(97)[:, None, None] * np.array([[37, 5], [36, 5], [37, 4], [36, 4]])
    assert len(packed(steady.astype(np.int16))) < 60
    assert len(packed(np.zeros((97, 4, 2), np.int16))) < 30


def test_what_turns_the_picture_over_is_refused():
    still = np.zeros((1, 4, 2), np.int16)
    assert is_plausible(still, 20, 9)
    zoomed = still + np.array([[-90, -40], [90, -40], [-90, 40], [90, 40]], np.int16)
    assert is_plausible(zoomed, 20, 9)
    for corner in range(4):
        for wrong in ((320, 0), (-320, 0), (0, 144), (0, -144)):
            moved = still.copy()
            moved[0, corner] = wrong
            inwards = (wrong[0] > 0) == (corner % 2 == 0) if wrong[0] else (
                (wrong[1] > 0) == (corner < 2))
            assert is_plausible(moved, 20, 9) != inwards
    mirrored = np.array([[320, 0], [-320, 0], [320, 0], [-320, 0]], np.int16)
    over = replace(make_background(20, 9), moves=still + mirrored)
    with pytest.raises(BadSegment, match="turns the picture over"):
        Background.parse(over.pack(), 20, 9)


def test_files_of_version_5_have_none_that_moves():
    data = replace(make_background(30, 14), moves=path(9, 1, 2)).pack()
    segment = Segment(tuple(range(9)), b"tok", background=data)
    assert background_of(segment, make_header(backgrounds=BACKGROUNDS)).moves.shape == (9, 4, 2)
    with pytest.raises(BadSegment, match="of a later version than its file"):
        background_of(segment, make_header(backgrounds=2))


@pytest.mark.parametrize(("spacing", "pictures"), [(1, 9), (2, 5), (0.5, 9)])
def test_there_are_as_many_as_pictures_that_are_shown(spacing, pictures):
    header = make_header(backgrounds=BACKGROUNDS, spacing=2, density=2)
    data = replace(make_background(30, 14, turn=0), moves=path(pictures, 1, 2)).pack()
    segment = Segment(tuple(range(9)), b"tok", 1, 1, spacing, data)
    assert len(background_of(segment, header).moves) == pictures
    with pytest.raises((BadSegment, BadTokens)):
        background_of(replace(segment, pts=tuple(range(17))), header)


@pytest.mark.parametrize("count", [177, 1000])
def test_a_number_that_never_ends_is_refused(count):
    encoder = BitEncoder()
    encoder.push(np.ones(count, np.uint8), np.full(count, 32768))
    with pytest.raises(BadSegment, match="impossible moves"):
        code_moves(Source(encoder.finish()), 1)


def test_what_goes_too_far_is_refused():
    """Each step may be coded, but not all of them one after the other."""
    coder, moves = PlainCoder(), 20000 * np.arange(1, 4)[:, None, None] * np.ones((4, 2), int)
    plain_moves(coder, moves)
    encoder = BitEncoder()
    encoder.push(np.array(coder.bits, np.uint8), np.array(coder.probabilities))
    with pytest.raises(BadSegment, match="impossible moves"):
        code_moves(Source(encoder.finish()), 3)


@QUICK
@given(words=st.integers(1, 30), seed=st.integers(0, 2**31), pictures=st.integers(1, 200))
def test_any_bytes_are_survived(words, seed, pictures):
    try:
        found = code_moves(Source(np.random.default_rng(seed).bytes(4 * words)), pictures)
    except (BadSegment, BadTokens) as error:
        assert "\n" not in str(error)
    else:
        assert found.shape == (pictures, 4, 2)
