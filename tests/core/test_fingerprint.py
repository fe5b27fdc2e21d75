from eden_core.fingerprint import CONTENTS, SAMPLED, Fingerprint

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


def converted(store="arrow-shards", index="arrow:2", contents="7") -> Fingerprint:
    return Fingerprint(ONE.order, {"store": store, "index": index, CONTENTS: contents})


def test_other_plugins_with_the_same_contents_are_no_difference():
    before = converted("sqlite-shards", "sqlite:1")
    assert before.differences(converted()) == ""
    assert before.differences(converted(contents="8")).count("changes the bytes") == 3
    without = Fingerprint(ONE.order, {"store": "arrow-shards", "index": "arrow:2"})
    assert before.differences(without).count("changes the bytes") == 2


def test_the_same_plugin_with_other_options_is_a_difference():
    one, other = converted("arrow-shards(a=1)"), converted("arrow-shards(a=2)")
    assert "store was arrow-shards(a=1)" in one.differences(other)


def test_each_source_of_a_mixture_is_compared_by_its_own_contents():
    def mixed(**contents) -> Fingerprint:
        return Fingerprint(
            {}, {f"{name}: {key}": text for name, each in contents.items() for key, text in each.content.items()}
        )

    before = mixed(a=converted("sqlite-shards"), b=converted("sqlite-shards"))
    assert before.differences(mixed(a=converted(), b=converted())) == ""
    assert "b: store was" in before.differences(mixed(a=converted(), b=converted(contents="8")))
    assert "a: store was" not in before.differences(mixed(a=converted(), b=converted(contents="8")))
