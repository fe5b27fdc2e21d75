import errno
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import kernels
from eden_core.permutation import permute, unpermute

LETTERS = np.frombuffer(b"ACGTNacgtnRYSWKM", np.uint8)
TABLE = np.full(256, kernels.INVALID, np.uint8)
TABLE[LETTERS] = LETTERS + 1
SEQ_LENGTH = 80

needs_compiled = pytest.mark.skipif(not kernels.are_compiled(), reason="built without a compiler")


def in_numpy(function, *arguments, **options):
    compiled, kernels._compiled = kernels._compiled, None
    try:
        return function(*arguments, **options)
    finally:
        kernels._compiled = compiled


@st.composite
def windows(draw, invalid=False):
    """Bytes, offsets and places of windows, one or two a row."""
    lengths, firsts = [], []
    for row in range(draw(st.integers(0, 4))):
        place = row * SEQ_LENGTH + draw(st.integers(0, 3))
        for _ in range(draw(st.integers(0, 2))):
            length = draw(st.integers(0, (row + 1) * SEQ_LENGTH - place))
            lengths.append(length)
            firsts.append(place)
            place = min(place + length + draw(st.integers(0, 2)), (row + 1) * SEQ_LENGTH)
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = generator.choice(LETTERS, int(offsets[-1]))
    if invalid and values.size:
        values[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from([0, 10, 64, 74, 200, 255]))
    return values, offsets, np.array(firsts, np.int64), 4


def targets(rows, kind):
    return tuple(np.full((rows, SEQ_LENGTH), 99, kind) for _ in range(2))


@needs_compiled
@given(windows(), st.sampled_from([np.int64, np.uint8]), st.sampled_from(["both", "tokens", "shifted"]))
def test_spread_does_what_numpy_does(given_windows, kind, which):
    values, offsets, firsts, rows = given_windows
    here, there = targets(rows, kind), targets(rows, kind)
    for out, run in ((here, kernels.spread), (there, lambda *a: in_numpy(kernels.spread, *a))):
        tokens, shifted = (None if which == "shifted" else out[0]), (None if which == "tokens" else out[1])
        assert run(values, offsets, firsts, TABLE, 7, tokens, shifted) is None
    assert np.array_equal(here, there)


@given(windows())
def test_spread_puts_entries_at_their_places(given_windows):
    values, offsets, firsts, rows = given_windows
    tokens, shifted = targets(rows, np.int64)
    kernels.spread(values, offsets, firsts, TABLE, 7, tokens, shifted)
    wanted = np.full(rows * SEQ_LENGTH, 7)
    for first, start, stop in zip(firsts, offsets, offsets[1:], strict=False):
        wanted[first : first + stop - start] = TABLE[values[start:stop]]
    assert np.array_equal(tokens.ravel(), wanted)


@given(windows(invalid=True))
def test_spread_finds_the_first_invalid_byte(given_windows):
    values, offsets, firsts, rows = given_windows
    bad = np.flatnonzero(TABLE[values] == kernels.INVALID)
    wanted = int(bad[0]) if bad.size else None
    assert kernels.spread(values, offsets, firsts, TABLE, 7, *targets(rows, np.int64)) == wanted
    assert in_numpy(kernels.spread, values, offsets, firsts, TABLE, 7, *targets(rows, np.int64)) == wanted


@needs_compiled
@given(windows(), st.booleans(), st.booleans())
def test_spread_weights_does_what_numpy_does(given_windows, lettered, weighed):
    values, offsets, firsts, rows = given_windows
    generator = np.random.default_rng(1)
    by_letter = generator.random(256).astype(np.float32) if lettered else None
    weights = generator.random(values.size).astype(np.float32) if weighed else None
    outs = [np.full((rows, SEQ_LENGTH), 9, np.float32) for _ in range(2)]
    arguments = (values, offsets[:-1], np.diff(offsets), firsts, by_letter, weights)
    kernels.spread_weights(*arguments, outs[0])
    in_numpy(kernels.spread_weights, *arguments, outs[1])
    assert np.array_equal(*outs)


@needs_compiled
@given(windows())
def test_mark_does_what_numpy_does(given_windows):
    _, offsets, firsts, rows = given_windows
    outs = [np.full((rows, SEQ_LENGTH), 9, np.uint8) for _ in range(2)]
    kernels.mark(firsts, np.diff(offsets), outs[0])
    in_numpy(kernels.mark, firsts, np.diff(offsets), outs[1])
    assert np.array_equal(*outs)


@given(windows(invalid=True), st.integers(0, 2**32))
def test_flipped_turns_what_is_marked(given_windows, seed):
    values, offsets, _, _ = given_windows
    marked = np.random.default_rng(seed).random(offsets.size - 1) < 0.5
    table = np.random.default_rng(seed).permutation(256).astype(np.uint8)
    rows = [values[a:b] for a, b in pairwise(offsets)]
    wanted = [table[row][::-1] if turned else row for row, turned in zip(rows, marked, strict=True)]
    for run in (kernels.flipped, lambda *a: in_numpy(kernels.flipped, *a)):
        assert np.array_equal(run(values, offsets, marked, table), np.concatenate([np.empty(0, np.uint8), *wanted]))


@pytest.mark.parametrize("run", [kernels.may_have, lambda *a: in_numpy(kernels.may_have, *a)])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 100])
def test_may_have_misses_none(run, size):
    flags = np.zeros(256, np.uint8)
    flags[ord("R")] = 1
    values = np.full(size, ord("A"), np.uint8)
    assert not run(values, flags)
    for place in range(size):
        values[place] = ord("R")
        assert run(values, flags)
        values[place] = ord("A")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=5))
def test_gather_copies_stretches(stretches):
    source = np.arange(80, dtype=np.uint8)
    starts, counts = np.array(stretches, np.int64).reshape(-1, 2).T.copy()
    places = np.cumsum(counts) - counts
    wanted = np.concatenate([np.empty(0, np.uint8), *(source[a : a + n] for a, n in stretches)])
    for run in (kernels.gather, lambda *a: in_numpy(kernels.gather, *a)):
        out = np.zeros(int(counts.sum()), np.uint8)
        run(source, starts, counts, out, places)
        assert np.array_equal(out, wanted)


@pytest.mark.parametrize("run", [kernels.read_cached, lambda *a: in_numpy(kernels.read_cached, *a)])
def test_what_is_cached_is_read_and_the_rest_is_named(run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    starts, counts, places = np.array([90, 0, 95]), np.array([10, 5, 10]), np.array([5, 0, 15])
    out = np.full(25, 200, np.uint8)
    with path.open("rb") as file:
        assert run(file.fileno(), starts, counts, out, places).tolist() == [2]  # behind the end there is nothing
    assert out[:15].tolist() == [0, 1, 2, 3, 4, *range(90, 100)]


@pytest.mark.parametrize("run", [kernels.read_cached, lambda *a: in_numpy(kernels.read_cached, *a)])
def test_an_error_of_reading_has_its_number(run):
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        run(10**6, np.array([0]), np.array([1]), np.zeros(1, np.uint8), np.array([0]))
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("run", [kernels.count_up, lambda *a: in_numpy(kernels.count_up, *a)])
def test_count_up(run):
    out = np.full((2, 5), 9)
    run(np.array([0, 3, 5, 9]), out)
    assert out.ravel().tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 3, 0]


@needs_compiled
@given(st.integers(1, 2**60), st.integers(0, 2**64 - 1), st.integers(0, 2**32))
def test_the_permutation_is_that_of_numpy(n, key, seed):
    positions = np.random.default_rng(seed).integers(0, n, 20)
    for function in (permute, unpermute):
        assert np.array_equal(function(positions, n, key), in_numpy(function, positions, n, key))


@needs_compiled
@given(st.lists(st.integers(1, 2**60) | st.integers(1, 200), max_size=20), st.integers(0, 2**32))
def test_the_permutations_of_many_sizes_are_those_of_numpy(sizes, seed):
    generator = np.random.default_rng(seed)
    n = np.array(sizes, np.int64)
    keys = generator.integers(0, 2**63, n.size).astype(np.uint64)
    positions = (generator.random(n.size) * n).astype(np.int64)
    for function in (permute, unpermute):
        assert np.array_equal(function(positions, n, keys), in_numpy(function, positions, n, keys))


@needs_compiled
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 64, 65, 10**6, 999**2 + 1, (2**30 - 1) ** 2, (2**30 - 1) ** 2 + 1, 2**60])
def test_the_sides_of_the_network_are_exact(n):
    positions = np.unique(np.array([0, n // 2, n - 1]))
    assert np.array_equal(permute(positions, n, 5), in_numpy(permute, positions, n, 5))


def test_an_array_that_is_not_contiguous_is_refused():
    if kernels.are_compiled():
        with pytest.raises(ValueError, match="not contiguous"):
            kernels.may_have(np.zeros(8, np.uint8)[::2], TABLE)


def test_a_position_outside_what_is_permuted_is_refused():
    if kernels.are_compiled():
        for n in (0, 5):
            with pytest.raises(ValueError, match="outside"):
                kernels.walk(np.array([5], np.uint64), n, np.zeros(1, np.uint64), inverse=False)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 2), st.integers(0, 30), st.integers(1, 40)), min_size=1, max_size=6),
    st.booleans(),
)
def test_unwrap_takes_line_ends_out(stretches, broken):
    sources, wanted, numbers = [], [], []
    for line, end, start, count in stretches:
        bases = np.arange(start, start + count, dtype=np.uint8) + 65
        lines = np.split(bases, range(line - start % line, count, line))
        text = (b"\r\n"[2 - end :]).join(part.tobytes() for part in lines)
        numbers.append((sum(map(len, sources)), start % line, line, end, count, sum(map(len, wanted))))
        sources.append(text)
        wanted.append(bases.tobytes())
    source = np.frombuffer(b"".join(sources), np.uint8).copy()
    starts, columns, lines, ends, counts, places = np.array(numbers, np.int64).T.copy()
    wrong = next((i for i, text in enumerate(sources) if b"\n" in text), None) if broken else None
    if broken:
        source[source == ord("\n")] = ord("N")
    for run in (kernels.unwrap, lambda *a: in_numpy(kernels.unwrap, *a)):
        out = np.zeros(int(counts.sum()), np.uint8)
        assert run(source, starts, columns, lines, ends, counts, out, places) == wrong
        assert wrong is not None or out.tobytes() == b"".join(wanted)


def test_unwrap_finds_a_line_end_within_a_line():
    for run in (kernels.unwrap, lambda *a: in_numpy(kernels.unwrap, *a)):
        one, out = (np.array([n], np.int64) for n in (1, 0)), np.zeros(4, np.uint8)
        line_end, zero = one
        assert run(np.frombuffer(b"AC\nG", np.uint8), zero, zero, 4 * line_end, line_end, 4 * line_end, out, zero) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 14)), max_size=5), st.integers(0, 255), st.integers(0, 255))
def test_overlay_changes_bits_of_stretches(stretches, keep, add):
    wanted = np.arange(64, dtype=np.uint8)
    for first, count in stretches:
        wanted[first : first + count] = [byte & keep | add for byte in wanted[first : first + count].tolist()]
    firsts, counts = np.array(stretches, np.int64).reshape(-1, 2).T.copy()
    for run in (kernels.overlay, lambda *a: in_numpy(kernels.overlay, *a)):
        out = np.arange(64, dtype=np.uint8)
        run(out, firsts, counts, keep, add)
        assert np.array_equal(out, wanted)
