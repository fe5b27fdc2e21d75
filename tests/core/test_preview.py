from xml.etree import ElementTree as ET

import numpy as np
import pytest

from eden_core import EdenDataset
from eden_core.drawing import Drawing
from eden_core.preview import PreviewRow, preview_rows
from eden_core.sampler import RowBlock


def rows_of(small, rows=range(8), letters=False, **options) -> tuple[EdenDataset, list[PreviewRow]]:
    dataset = EdenDataset(**small.options | options)
    return dataset, preview_rows(dataset, {None: RowBlock.of(rows)}, letters=letters)


def kinds_of(row: PreviewRow) -> list[str]:
    """The kind of each token."""
    return [span.kind for span in row.spans for _ in range(span.stop - span.start)]


PACKINGS = [
    {},
    {"packing": "thd", "pad_segments_to": 8, "rc_aug": True, "use_control_tags": True},
    {"packing": "concat", "separate_segments": True},
    {"packing": "concat", "pack_by": "sample", "split_windows": True},
    {"tokenizer": "byte", "packing": "concat", "include_eos": False},
]


@pytest.mark.parametrize("options", PACKINGS)
def test_spans_cover_a_row_and_padding_is_what_does_not_fill_it(small, options):
    _, rows = rows_of(small, **options)
    kinds = [kinds_of(row) for row in rows]
    assert [len(found) for found in kinds] == [64] * len(rows)
    assert [64 - found.count("padding") for found in kinds] == [round(row.fill * 64) for row in rows]


@pytest.mark.parametrize("options", PACKINGS)
def test_the_bases_of_a_segment_are_as_many_as_its_window_has(small, options):
    _, rows = rows_of(small, **options)
    for row in rows:
        for number, segment in enumerate(row.segments):
            spans = [span for span in row.spans if span.segment == number and span.kind not in {"special", "tag"}]
            assert sum(span.stop - span.start for span in spans) == segment.length
            assert {span.kind for span in spans} <= {segment.strand, "masked"}


def test_bases_without_loss_weight_are_masked(small):
    dataset, rows = rows_of(small, loss_weights={"N": 0, "lower": 0})
    batch = dataset.batch(range(8))
    for i, row in enumerate(rows):
        masked = [place for place, kind in enumerate(kinds_of(row)) if kind == "masked"]
        stored = dataset.reader.fetch(np.array([i])).batch.bases.values.tobytes().decode()
        assert masked == [place + 1 for place, letter in enumerate(stored) if letter in "Nacgt"]
        assert not batch["loss_mask"][i][[place - 1 for place in masked]].any()


def test_a_repeated_row_is_masked_as_a_whole(small):
    block = RowBlock(np.array([3]), np.array([True]))
    [row] = preview_rows(EdenDataset(**small.options), {0: block})
    assert set(kinds_of(row)) <= {"special", "masked", "padding"}


def test_what_an_objective_chose_is_predicted(small):
    dataset, rows = rows_of(small, objective={"mlm": {"mean_span": 3}})
    chosen = dataset.batch(range(8))["loss_mask"] > 0
    assert [[kind == "predicted" for kind in kinds_of(row)] for row in rows] == chosen.tolist()


def test_letters_are_kinds_where_they_are_asked_for(small):
    dataset, rows = rows_of(small, [5], letters=True)
    stored = dataset.reader.fetch(np.array([5])).batch.bases.values.tobytes().decode()
    kinds = ["ambiguous" if letter == "N" else "soft-masked" if letter.islower() else "+" for letter in stored]
    assert kinds_of(rows[0])[1 : 1 + len(kinds)] == kinds


def test_a_row_that_lost_all_its_windows_is_padding(small, tmp_path):
    whole = EdenDataset(**small.options, packing="concat")
    (tmp_path / "out.txt").write_text("\n".join(set(whole.locate([0]).sequence_ids)))
    _, rows = rows_of(small, [0], packing="concat", exclude_contigs=str(tmp_path / "out.txt"))
    assert (rows[0].segments, set(kinds_of(rows[0])), rows[0].fill) == ([], {"padding"}, 0)


def test_a_character_shows_what_most_of_its_tokens_are(small):
    _, rows = rows_of(small, [0])
    letters = {"special": "S", "+": "F", "padding": "."}
    every = [letters[kind] for kind in kinds_of(rows[0])]
    drawing = Drawing("", rows)
    assert drawing.lines(64)[-1].split("  ")[-2] == "".join(every)
    halved = drawing.lines(32)[-1].split("  ")[-2]
    assert all(letter in every[2 * i : 2 * i + 2] for i, letter in enumerate(halved))
    assert drawing.lines(1)[-1].split("  ")[-2] == max("F.", key=every.count)


def test_segments_alternate_between_upper_and_lower_case(small):
    _, rows = rows_of(small, range(40), packing="concat", seq_length=256)
    row = next(row for row in rows if len(row.segments) > 2)
    bar = Drawing("", [row]).lines(256)[-1].split("  ")[-2]
    for number in range(len(row.segments)):
        [start, stop] = [f([s for s in row.spans if s.segment == number]) for f in (lambda s: s[0].start, lambda s: s[-1].stop)]
        assert bar[start:stop].islower() == (number % 2 == 1)


def test_blocks_are_drawn_in_as_many_characters_as_letters(small):
    _, rows = rows_of(small, packing="concat", rc_aug=True)
    drawing = Drawing("", rows)
    blocks = str(drawing.text(32)).splitlines()[-len(rows) :]
    assert [len(line) for line in blocks] == [len(line) for line in drawing.lines(32)[-len(rows) :]]


def test_the_svg_says_contig_place_strand_and_tag(small):
    _, rows = rows_of(small, range(2), rc_aug=True, use_control_tags=True)
    titles = [title.text for title in ET.fromstring(Drawing("", rows).svg()).iter("{http://www.w3.org/2000/svg}title")]
    one = rows[1].segments[0]
    place = f"{one.contig}:{one.start + 1}-{one.start + one.length} ({one.strand}) <ctrl_bcr>, tokens 1-10: control tag"
    assert place in titles


def test_the_page_needs_nothing_else(small):
    page = Drawing("<script>", rows_of(small, range(2))[1]).html()
    assert not any(word in page for word in ("<script", "href", "src=", "url(", "@import"))
