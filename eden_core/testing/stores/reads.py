"""What every store must do when it is read."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import permutations
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.batch import Ragged
from eden_core.errors import EdenError, SequenceNotFoundError, ShardNotFoundError, StaleIndexError
from eden_core.interfaces import SequenceStore
from eden_core.testing.clauses import Clause
from eden_core.testing.oracle import Request, Sequences
from eden_core.testing.processes import count_open_files
from eden_core.testing.stores.data import StoreData, check_reads, cut_from, requests_of
from eden_core.testing.suite import answer_of, error_of, facts, new_folder, quick, windows_of

_ROWS = Clause("rows-are-slices", "Row i is `sequence[start : start + length]`.")
_COMPANY = Clause("company", "A window is answered the same alone as among others, whatever was read before.")
_OPEN_FILES = Clause("open-files", "However many samples are read, few files stay open, and `close` closes them all.")
_TYPES = Clause("types", "Values are uint8 [total], offsets int64 [W + 1] from 0 to total, also where W is 0.")


class ReadTests(StoreData):
    """Checks of reading."""

    @_ROWS
    def test_rows_are_the_bases_asked_for(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Reads the start, the middle, the end and all of every sequence."""
        check_reads(store, sequences, "row i must be sequence[start : start + length]")

    @Clause("rows-follow-the-request", "Rows come in the order of the windows, and a window asked twice is answered twice.")
    def test_rows_follow_the_request(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Asks for every window twice, in a mixed order."""
        requests = requests_of(sequences) * 2
        mixed = [requests[i] for i in np.random.default_rng(1).permutation(len(requests))]
        check_reads(store, sequences, "rows must come in the order of the windows, repeats included", mixed)

    @_TYPES
    def test_types_and_shapes(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Looks at the answer to windows of every sequence."""
        requests = requests_of(sequences)
        _check_types(store.read(windows_of(requests)), len(requests))

    @_TYPES
    def test_no_windows_give_no_rows(self, store: SequenceStore) -> None:
        """Asks for no windows."""
        _check_types(answer_of(partial(store.read, windows_of([])), "no windows must be answered with no rows"), 0)

    @Clause(
        "rows-end-with-their-sequence",
        "A row ends where its sequence ends, without padding and without anything of the next sequence.",
    )
    def test_rows_end_with_their_sequence(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Asks for more bases than there are, from the start, the middle and the last base of every sequence."""
        beyond = [(s, start, len(b) + 999) for s, b in sequences.items() for start in (0, len(b) // 2, len(b) - 1)]
        check_reads(store, sequences, "a row must end where its sequence ends, unpadded", beyond)

    @Clause(
        "starts-behind-the-end",
        "A window that starts at or behind its sequence's end is a StaleIndexError, no empty row.",
    )
    @pytest.mark.parametrize("behind", [0, 1, 5_000])
    def test_a_start_behind_the_end_is_stale(self, store: SequenceStore, sequences: dict[str, bytes], behind: int) -> None:
        """Asks for a window behind the end of each sequence, beside one that is there."""
        claim = "a window that starts at or behind its sequence's end must raise StaleIndexError"
        for sequence_id, bases in sequences.items():
            windows = windows_of([(sequence_id, 0, 5), (sequence_id, len(bases) + behind, 5)])
            error_of(partial(store.read, windows), StaleIndexError, claim)

    @Clause(
        "unknown-ids-are-named",
        "An unknown sequence, in a known sample or not, is a SequenceNotFoundError or ShardNotFoundError that names it.",
    )
    @pytest.mark.parametrize("unknown", ["contig", "sample"])
    def test_an_unknown_sequence_is_named(self, store: SequenceStore, sequences: dict[str, bytes], unknown: str) -> None:
        """Asks for an unknown sequence beside a known one, and then for the known one alone."""
        known = next(iter(sequences))
        missing = f"{known}-missing" if unknown == "contig" else "BCR__ECT-NO.SUCH.SAMPLE__CT1-1"
        before = facts(store.read(windows_of([(known, 0, 5)])))
        read = partial(store.read, windows_of([(known, 0, 5), (missing, 0, 5)]))
        claim = "an unknown sequence must raise SequenceNotFoundError (or ShardNotFoundError)"
        error = error_of(read, (SequenceNotFoundError, ShardNotFoundError), claim)
        assert missing in str(error), f"the error for an unknown sequence must name it ({missing}); it says: {error}"
        again = facts(store.read(windows_of([(known, 0, 5)])))
        assert again == before, "a store must still answer as before after an unknown sequence"

    @Clause("hostile-ids", "An id that would leave the store's folder or end a query is an EdenError, and does no harm.")
    @pytest.mark.parametrize("hostile", ["BCR__ECT-../../escaped__1", "BCR__ECT-/etc__1", "x'; DROP TABLE sequences; --"])
    def test_hostile_ids_are_refused(self, store: SequenceStore, sequences: dict[str, bytes], hostile: str) -> None:
        """Asks for ids with `..`, with an absolute path and with SQL, and then reads all again."""
        windows = windows_of(requests_of(sequences))
        before = facts(store.read(windows))
        claim = f"the id {hostile!r} is not in the store: it must raise an EdenError and never become a path or query"
        error_of(partial(store.read, windows_of([(hostile, 0, 5)])), EdenError, claim)
        assert facts(store.read(windows)) == before, "a hostile id must do no harm"

    @Clause("ids-are-data", "The part of an id behind its sample may have any letter, and is as long as it is.")
    def test_ids_are_data(self, tmp_path: Path, sequences: dict[str, bytes], odd_ids: list[str]) -> None:
        """Makes a store of `odd_ids`, and reads it."""
        odd = {sequence_id: cut_from(sequences, 20 + n) for n, sequence_id in enumerate(odd_ids)}
        with self.make_store(new_folder(tmp_path / "odd"), dict(odd)) as store:
            check_reads(store, odd, "an id must be kept letter by letter, whatever it means in a path, a query or a region")

    @_COMPANY
    def test_rows_do_not_depend_on_company(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Reads windows together, then one by one."""
        requests = requests_of(sequences)
        for row, request in zip(store.read(windows_of(requests)), requests, strict=True):
            alone = store.read(windows_of([request]))
            assert facts(alone[0]) == facts(row), f"{request} must be answered the same alone and in company"

    @_COMPANY
    def test_rows_do_not_depend_on_the_one_before(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Reads, one by one, windows of two sequences, the second from the base at which the first one ended."""
        for before, after in permutations(sequences, 2):
            stop = min(len(sequences[before]), len(sequences[after]) - 1, 300)
            for request in ((before, 0, stop), (after, stop, 20)) if stop > 0 else ():
                check_reads(store, sequences, f"a window must not go on where {before} was left", [request])

    @Clause("letters-are-kept", "Bases come as they were stored: lower case stays lower, IUPAC letters stay.")
    def test_case_and_letters_are_kept(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Compares the letters of all rows with those that were stored."""
        whole = [(sequence_id, 0, len(bases)) for sequence_id, bases in sequences.items()]
        letters = bytes(sorted(set(store.read(windows_of(whole)).values.tolist())))
        stored = bytes(sorted(set(b"".join(sequences.values()))))
        assert letters == stored, f"bases must come as stored, case and letters kept: stored {stored!r}, read {letters!r}"

    @_ROWS
    def test_any_windows_read_like_slices(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Reads whatever windows hypothesis thinks of, and compares them with a dict."""

        @quick(40)
        @given(st.lists(_any_request(sequences), max_size=20))
        def reads_like_slices(requests: list[Request]) -> None:
            check_reads(store, sequences, "row i must be sequence[start : start + length]", requests)

        reads_like_slices()

    @Clause("stores-do-not-mix", "Two stores of one class, used in turn, keep to their own data.")
    def test_two_stores_do_not_mix(self, tmp_path: Path, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Reads in turn from two stores that have the same ids and other bases."""
        others = {sequence_id: bases[::-1] + bases[:4] for sequence_id, bases in sequences.items()}
        with self.make_store(new_folder(tmp_path / "other"), dict(others)) as other:
            for _ in range(2):
                check_reads(store, sequences, "a store must not answer from another store's data")
                check_reads(other, others, "a store must not answer from another store's data")

    @Clause(
        "threads",
        "Several threads, up to `max_read_threads`, may read at once, and each gets its own rows.",
        needs=("threads",),
    )
    def test_threads_may_read_at_once(self, store: SequenceStore, sequences: dict[str, bytes]) -> None:
        """Reads in up to 8 threads at once, from a store that was just closed."""
        count = min(store.max_read_threads, 8)
        requests, together = requests_of(sequences), Barrier(count)

        def read(thread: int) -> None:
            together.wait()
            for number in range(10):
                turned = np.roll(np.arange(len(requests)), thread + number).tolist()
                claim = f"{count} threads that read at once (max_read_threads {store.max_read_threads}) must get their own rows"
                check_reads(store, sequences, claim, [requests[i] for i in turned])

        for _ in range(2):
            store.close()
            with ThreadPoolExecutor(count) as threads:
                list(threads.map(read, range(count)))

    @_OPEN_FILES
    def test_errors_leave_no_files_open(self, tmp_path: Path, sequences: dict[str, bytes]) -> None:
        """Asks 20 times for a window behind the end, closes, and counts open files."""
        before, claim = count_open_files(), "a window behind the end must raise StaleIndexError"
        with self.make_store(new_folder(tmp_path / "other"), dict(sequences)) as store:
            behind = windows_of([(sequence_id, len(bases), 5) for sequence_id, bases in list(sequences.items())[:1]])
            for _ in range(20):
                error_of(partial(store.read, behind), StaleIndexError, claim)
        left = count_open_files() - before
        assert left <= 0, f"close() must close every file, also those that an error was raised over; it left {left} open"

    @_OPEN_FILES
    def test_open_files_are_bounded(self, tmp_path: Path, many_samples: dict[str, bytes]) -> None:
        """Reads `many_samples` one by one, counts open files (`max_open_files` is what it allows), closes, and counts again."""
        before = count_open_files()
        requests = [(sequence_id, 0, 5) for sequence_id in many_samples]
        with self.make_store(new_folder(tmp_path / "many"), dict(many_samples)) as store:
            for request in requests:
                store.read(windows_of([request]))
            check_reads(store, many_samples, "every sample must be read", requests)
            opened = count_open_files() - before
        most = self.max_open_files
        assert opened <= most, f"at most {most} files may stay open, however many samples are read; {opened} do"
        left = count_open_files() - before
        assert left <= 0, f"close() must close every file; of {opened} it left {left} open"


def _any_request(sequences: Sequences) -> st.SearchStrategy[Request]:
    def of(sequence_id: str) -> st.SearchStrategy[Request]:
        starts = st.integers(0, len(sequences[sequence_id]) - 1)
        return st.tuples(st.just(sequence_id), starts, st.integers(1, 9_000))

    return st.sampled_from(sorted(sequences)).flatmap(of)


def _check_types(rows: Ragged[np.uint8], count: int) -> None:
    assert rows.values.dtype == np.uint8, f"values must be uint8, not {rows.values.dtype}"
    assert rows.values.ndim == 1, f"values must be one row of all bases, not of shape {rows.values.shape}"
    assert rows.offsets.dtype == np.int64, f"offsets must be int64, not {rows.offsets.dtype}"
    assert rows.offsets.shape == (count + 1,), f"offsets of {count} windows must have the shape {(count + 1,)}"
    assert rows.offsets[0] == 0, f"offsets must begin with 0, not {rows.offsets[0]}"
    assert rows.offsets[-1] == rows.values.size, f"offsets must end with the number of values, {rows.values.size}"
