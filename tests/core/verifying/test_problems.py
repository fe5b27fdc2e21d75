from eden_core.verifying.problems import Problems


def test_the_first_of_a_kind_and_place_and_their_number():
    problems, more = Problems(), Problems()
    problems.add("bases", "sample b", "first", "eden import", 2)
    more.add("bases", "sample b", "second", "nothing")
    more.add("bases", "sample a", "third", "nothing")
    problems.extend(more.listed())
    assert [(one.where, one.what, one.count) for one in problems.listed()] == [
        ("sample a", "third", 1),
        ("sample b", "first", 3),
    ]
    assert str(problems.listed()[1]) == "bases: sample b: first (and 2 more there); mend it with: eden import"
