from eden_core.fingerprint import SAMPLED, Fingerprint

ONE = Fingerprint({"seed": "1", "windows": "80"}, {"tokenizer": "byte"})
OTHER = Fingerprint({"seed": "2", "windows": "80"}, {"tokenizer": "nucleotide"})


def test_its_text_reads_back():
    assert Fingerprint.parse(str(ONE)) == ONE


def test_the_same_has_no_differences():
    assert ONE.differences(Fingerprint.parse(str(ONE))) == ""


def test_differences_tell_the_order_from_the_bytes_and_print_both_sides():
    assert ONE.differences(OTHER).splitlines() == [
        "",
        "  changes the order: seed was 1, is 2",
        "  changes the bytes: tokenizer was byte, is nucleotide",
    ]


def test_what_one_side_lacks_is_absent():
    assert "packing was absent, is thd" in ONE.differences(Fingerprint({**ONE.order, "packing": "thd"}, ONE.content))


def test_a_text_that_is_no_fingerprint_equals_none():
    assert "fingerprint was 0123, is absent" in Fingerprint.parse("0123").differences(ONE)


def test_sampled_bases_that_one_side_could_not_read_are_compared_with_nothing():
    read = Fingerprint(ONE.order, {**ONE.content, SAMPLED: "0123"})
    assert read.differences(ONE) == ONE.differences(read) == ""
    assert SAMPLED in read.differences(Fingerprint(ONE.order, {**ONE.content, SAMPLED: "4567"}))
