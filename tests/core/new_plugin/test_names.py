import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import ConfigurationError
from eden_core.new_plugin.names import PluginNames


@pytest.mark.parametrize("given_name", ["my-store2", "eden-my-store2"])
def test_all_names_follow_from_one(given_name):
    names = PluginNames.of(given_name, "store")
    found = (names.name, names.distribution, names.package, names.class_name)
    assert found == ("my-store2", "eden-my-store2", "eden_my_store2", "MyStore2")


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("My_Store", "my-store"),
        ("my--store", "my-store"),
        ("2bit", "bit"),
        ("-", "my-store"),
        ("", "my-store"),
        ("eden-", "eden"),
        ("naïve", "na-ve"),
        ("../up", "up"),
        ("a b", "a-b"),
        ("x" * 41, "x" * 40),
    ],
)
def test_what_is_no_name_is_refused_with_one_that_is(name, proposal):
    with pytest.raises(ConfigurationError, match=rf"such as '{proposal}'$"):
        PluginNames.of(name, "store")
    PluginNames.of(proposal, "store")


@given(st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True))
def test_the_names_suit_python(name):
    names = PluginNames(name)
    assert names.package.isidentifier()
    assert names.class_name.isidentifier()


@pytest.mark.parametrize(("kind", "name"), [("store", "sqlite-shards"), ("index", "arrow"), ("transform", "control-tags")])
def test_a_name_in_use_is_refused(kind, name):
    with pytest.raises(ConfigurationError, match=f"there is a {kind} '{name}' already: choose another name"):
        PluginNames.of(name, kind)


@pytest.mark.parametrize("name", ["core", "sqlite"])
def test_the_name_of_an_installed_package_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"a package eden_{name} is installed already"):
        PluginNames.of(name, "store")


@pytest.mark.parametrize("name", ["none", "true", "exception", "tiling"])
def test_a_class_of_another_meaning_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"its class would be {name.capitalize()}, .* such as 'my-{name}'"):
        PluginNames.of(name, "store").check_class({"Tiling"})
