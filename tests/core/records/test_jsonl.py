import json
import random

import pytest

from eden_core.errors import InputError
from eden_core.records.jsonl import jsonl_records
from eden_core.records.record import RecordFields


def read(content: bytes, block: int = 1 << 20, **options) -> list[tuple]:
    blocks = [content[i : i + block] for i in range(0, len(content), block)]
    return [tuple(record) for record in jsonl_records(blocks, "g.jsonl", **options)]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_objects_are_read_wherever_blocks_are_cut(block):
    draw = random.Random(3)
    rows = [{"text": "".join(draw.choices("ACGTn", k=draw.randint(1, 50))), "record": f"r{i}"} for i in range(9)]
    content = "\r\n\n".join(map(json.dumps, rows)).encode()
    assert read(content, block) == [(row["record"], row["text"].encode(), 1 + 2 * i) for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("row", "record_id"),
    [
        ({"record": "é x"}, "é x"),
        ({"record": 7}, "7"),
        ({"record": None}, None),
        ({"record": ""}, None),
        ({}, None),
    ],
)
def test_ids(row, record_id):
    assert read(json.dumps({"text": "A", "other": [1]} | row).encode()) == [(record_id, b"A", 1)]


def test_fields_have_other_names():
    assert read(b'{"seq": "AC", "name": "a", "text": 3}', fields=RecordFields("seq", "name")) == [("a", b"AC", 1)]


def test_other_letters_pass_where_letters_are_not_checked():
    assert read(b'{"text": "@AC#|d__Bacteria|"}', check_letters=False)[0][1] == b"@AC#|d__Bacteria|"


GOOD = b'{"text": "ACGT", "record": "a"}\n\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(b'{"text": "ACGT', "invalid JSON: Unterminated string starting at, at column 10", id="cut"),
        pytest.param(b'{"text" "ACGT"}', "invalid JSON: Expecting ':' delimiter, at column 9", id="json"),
        pytest.param(b'{"text": "AC"} {"text": "AC"}', "invalid JSON: Extra data", id="two-objects"),
        pytest.param(b'["ACGT"]', "expected a JSON object, {…}; found an array", id="array"),
        pytest.param(b"3", "expected a JSON object, {…}; found a number", id="number"),
        pytest.param(b"[" * 100_000, "JSON that cannot be read: maximum recursion", id="deep"),
        pytest.param(b'{"a": ' + b"1" * 5000 + b"}", "JSON that cannot be read: Exceeds the limit", id="long-number"),
        pytest.param(b'{"text": "\xff"}', "byte 11 is no UTF-8 text", id="no-utf-8"),
        pytest.param(
            b'{"seq": "A", "record": "b"}', "no field 'text'; found 'seq', 'record'. .*--sequence-field", id="missing"
        ),
        pytest.param(b"{}", "no field 'text'; found none", id="no-fields"),
        pytest.param(b'{"text": null}', "the sequence 'text' is null; expected a string", id="null"),
        pytest.param(b'{"text": ["A"]}', "the sequence 'text' is an array; expected a string", id="list"),
        pytest.param(b'{"text": "A", "record": 1.5}', "the id 'record' is a number; expected a string", id="float-id"),
        pytest.param(b'{"text": "A", "record": true}', "the id 'record' is true or false; expected", id="bool-id"),
        pytest.param(b'{"text": "A", "record": "b\\u0000"}', "the id .* printable", id="nul-in-id"),
        pytest.param(b'{"text": "A", "record": "b\\ud800"}', "the id .* printable", id="surrogate-in-id"),
        pytest.param(b'{"text": "", "record": "b"}', "sequence 'b' is empty", id="empty"),
        pytest.param(b'{"text": ""}', "the sequence is empty", id="empty-without-id"),
        pytest.param(b'{"text": "ACXT", "record": "b"}', "position 3: 'X' in sequence 'b' is no IUPAC", id="letter"),
        pytest.param('{"text": "ACé"}'.encode(), "position 3: the byte 0xC3 in the sequence is no IUPAC", id="no-ascii"),
        pytest.param(b'{"text": "|d__Bacteria;p__X|ACGT"}', r"position 1: '\|' .*--other-letters skip", id="a tag"),
        pytest.param(b'{"text": "MKTAYIAKQRQISFVKSHFSRQLE"}', "position 6: 'I' .*looks like protein", id="protein"),
    ],
)
def test_bad_lines(line, message):
    with pytest.raises(InputError, match=rf"g\.jsonl: line 3[:,] .*{message}|g\.jsonl: line 3: {message}"):
        read(GOOD + line + b"\n" + GOOD)


@pytest.mark.parametrize("letter", ["\\u0000", "\\ud800", "\\n", "\\r", "\u00e9"])
def test_nul_line_ends_and_what_is_no_ascii_never_pass(letter):
    with pytest.raises(InputError, match="line 1, position 2"):
        read(f'{{"text": "A{letter}"}}'.encode(), check_letters=False)
