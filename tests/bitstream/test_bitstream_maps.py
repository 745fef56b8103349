"""Backgrounds in segments, and their maps: what is shown in each latent frame."""

from dataclasses import replace

import numpy as np
import pytest
from bitstream_samples import QUICK, make_header
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bitstream_background import make_background

from bitstream import BACKGROUNDS, Background, BadSegment, BadTokens, Segment, background_of


def with_maps(width, height, turns, seed, share):
    """Maps that mostly stay from turn to turn, of a background of which 70% is told."""
    made = make_background(width, height, seed, told=0.7, turn=0)
    rng = np.random.default_rng(seed)
    now = rng.random(made.planes[0].told.shape) < share
    maps = []
    for _ in range(turns):
        now = now ^ (rng.random(now.shape) < 0.1)
        maps.append(now & made.planes[0].told)
    return replace(made, shown=np.stack(maps))


@settings(QUICK, max_examples=20)
@given(
    width=st.integers(1, 50),
    height=st.integers(1, 50),
    turns=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_round_trip(width, height, turns, seed, share):
    made = with_maps(width, height, turns, seed, share)
    packed = made.pack()
    found = Background.parse(packed, width, height, turns)
    np.testing.assert_array_equal(found.shown, made.shown)
    assert found.step == made.step and found.pack() == packed
    without = replace(made, shown=None)
    assert Background.parse(without.pack(), width, height, turns).shown is None


def test_what_stays_costs_next_to_nothing():
    made = make_background(640, 360, told=1.0, some=0.0, turn=0)
    still = np.ones((41, *made.planes[0].told.shape), bool)
    still[:, :, 40:] = False
    assert len(replace(made, shown=still).pack()) - len(made.pack()) < 700
    moving = np.random.default_rng(0).random(still.shape) < 0.5
    assert len(replace(made, shown=moving).pack()) - len(made.pack()) > still.size / 8


def test_segments_say_how_many_there_are():
    header = make_header(backgrounds=BACKGROUNDS, width=48, height=32, padded_width=48,
                         padded_height=32)
    made = with_maps(48, 32, 3, 1, 0.5)
    segment = Segment(tuple(range(9)), b"", background=made.pack())
    found = background_of(segment, header)
    assert found is not None and found.shown.shape == (3, 4, 6)
    with pytest.raises((BadSegment, BadTokens)):  # words are left
        background_of(replace(segment, pts=(0,)), header)


def test_hostile_maps_are_refused():
    packed = bytearray(make_background(16, 16, told=1.0).pack())
    packed[2] |= 0x80
    with pytest.raises(BadSegment, match="too short"):
        Background.parse(bytes(packed), 16, 16, 2**40)


def test_a_segments_background_stands_on_one_of_its_latent_frames():
    header = make_header(backgrounds=BACKGROUNDS, density=2)
    for spacing, latents in ((1, 3), (0.5, 5)):
        for turn in (0, latents - 1, latents, 15):
            packed = make_background(30, 14, turn=turn).pack()
            segment = Segment(tuple(range(9)), b"tok", 1, 1, spacing, packed)
            if turn < latents:
                found = background_of(segment, header)
                assert found.turn == turn
            else:
                with pytest.raises(BadSegment, match="a picture that its segment does not have"):
                    background_of(segment, header)
    assert background_of(Segment((0,), b"tok"), header) is None


def test_files_of_version_4_have_none_that_fade():
    header = make_header(backgrounds=1)
    packed = make_background(30, 14, fade=0).pack()
    assert background_of(Segment(tuple(range(9)), b"tok", background=packed), header).fade == 0
    packed = make_background(30, 14, fade=80).pack()
    segment = Segment(tuple(range(9)), b"tok", background=packed)
    assert background_of(segment, make_header(backgrounds=BACKGROUNDS)).fade == 80
    with pytest.raises(BadSegment, match="of a later version than its file"):
        background_of(segment, header)
