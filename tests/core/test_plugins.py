import os
import re
import subprocess
import sys
import warnings
from textwrap import dedent

import pytest

from eden_core import PluginRegistry, SequenceStore, Transform, hookimpl, installed_plugins
from eden_core.errors import PluginConflictError, PluginNotFoundError, PluginOptionError, PluginWarning
from eden_core.plugin_loading import Origin

IMPORTS = "from eden_core import SequenceStore, Transform, hookimpl\n"
STORE = IMPORTS + dedent("""
    class {cls}(SequenceStore):
        name = "{name}"
        def __init__(self, location, *, depth=1, colour="red"):
            super().__init__(location)
            self.depth, self.colour = depth, colour
        def read(self, windows): ...
    @hookimpl
    def eden_sequence_stores():
        return [{cls}]
""")
GOOD = STORE.format(cls="GoodStore", name="good")
CLASS = IMPORTS + "class Fine(Transform):\n    name = 'fine'\n    def apply(self, batch, draws): ...\n"

BROKEN = {
    "missing import": ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax error": ("def\n", "SyntaxError"),
    "leaves the interpreter": ("raise SystemExit('no licence')\n", "SystemExit: no licence"),
    "panics": ("class Panic(BaseException): ...\nraise Panic('at the disco')\n", "Panic: at the disco"),
    "newer interface": (
        GOOD + "EDEN_INTERFACE = 2\n",
        "written for version 2 of the plugin interface, and eden-core 0.1.0 has version 1: upgrade eden-core",
    ),
    "interface in words": (GOOD + "EDEN_INTERFACE = '1'\n", "EDEN_INTERFACE is '1'; it must be a version of the plugin"),
    "interface that is a truth": (GOOD + "EDEN_INTERFACE = True\n", "EDEN_INTERFACE is True; it must be a version"),
    "interface before the first": (GOOD + "EDEN_INTERFACE = 0\n", "EDEN_INTERFACE is 0; it must be a version"),
    "misspelt hook": (IMPORTS + "@hookimpl\ndef eden_transform():\n    return []\n", "unknown hook eden_transform; hooks are"),
    "no hook": ("def eden_transforms():\n    return []\n", "no hook is marked with eden_core.hookimpl"),
    "extra argument": (
        IMPORTS + "@hookimpl\ndef eden_transforms(config):\n    return []\n",
        "eden_transforms(config) asks for config, which",
    ),
    "hook that raises": (IMPORTS + "@hookimpl\ndef eden_transforms():\n    raise OSError('disk')\n", "failed: OSError: disk"),
    "hook without a list": (IMPORTS + "@hookimpl\ndef eden_transforms(): ...\n", "eden_transforms() failed: TypeError"),
    "not a class": (CLASS + "@hookimpl\ndef eden_transforms():\n    return [Fine()]\n", "which is not a class"),
    "not a subclass": (
        CLASS + "@hookimpl\ndef eden_sequence_stores():\n    return [Fine]\n",
        "not a subclass of SequenceStore",
    ),
    "no name": (CLASS + "del Fine.name\n@hookimpl\ndef eden_transforms():\n    return [Fine]\n", "which has no name"),
    "empty name": (CLASS + "Fine.name = ''\n@hookimpl\ndef eden_transforms():\n    return [Fine]\n", "which has no name"),
    "no options": (GOOD + "GoodStore.__signature__ = 'x'\n", "whose options cannot be read"),
    "abstract": (
        IMPORTS + "class Half(Transform):\n    name = 'half'\n@hookimpl\ndef eden_transforms():\n    return [Half]\n",
        "which lacks apply",
    ),
    "observer of another thing": (
        IMPORTS + "@hookimpl\ndef eden_batch_read(batch): ...\n",
        "eden_batch_read(batch) asks for batch",
    ),
    "observer of nothing": (IMPORTS + "@hookimpl\ndef eden_batch_read(): ...\n", "it needs one, reading"),
}

ASKING = """\
import multiprocessing
from eden_core import installed_plugins

def ask():
    print(len(installed_plugins().problems), len(installed_plugins().slow), flush=True)

if __name__ == "__main__":
    ask()
    worker = multiprocessing.get_context("spawn").Process(target=ask)
    worker.start()
    worker.join()
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Returns a function that installs a small distribution; the bundled plugins are left out."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EDEN_DISABLED_PLUGINS", "eden-core")
    modules = []

    def install(distribution, source, point="fake", version="1.5"):
        module = f"{distribution}_{tmp_path.name}_{point}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        with (folder / "entry_points.txt").open("a") as file:
            file.write(f"[eden]\n{point} = {module}\n")
        modules.append(module)

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def load():
    """A registry of what is installed, and the warnings on the way."""
    registry = PluginRegistry()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.load_entry_points()
    return registry, [str(w.message) for w in caught if w.category is PluginWarning]


def names(registry):
    return [entry.name for entry in registry.entries()]


def test_a_good_plugin_is_found(install):
    install("acme-good", GOOD)
    registry, caught = load()
    assert (names(registry), caught) == (["good"], [])
    assert str(registry.find("store", "good").origin).startswith("acme-good 1.5 (acme_good_")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_left_out_with_one_warning(install, fault):
    source, cause = BROKEN[fault]
    install("acme-broken", source, point="a-first")
    install("acme-good", GOOD, point="b-second")
    registry, caught = load()
    assert names(registry) == ["good"]
    assert [("acme-broken 1.5" in text, cause in text) for text in caught] == [(True, True)], caught


@pytest.mark.parametrize("fault", BROKEN)
def test_the_cause_is_repeated_when_the_plugin_is_asked_for(install, fault):
    source, cause = BROKEN[fault]
    install("acme-broken", source)
    with pytest.raises(PluginNotFoundError) as error:
        load()[0].find("transform", "fake")
    assert "left out: acme-broken 1.5" in str(error.value)
    assert cause in str(error.value)


def test_a_class_name_is_matched_with_its_own_cause_only(install):
    install("acme-abstract", BROKEN["abstract"][0])
    install("acme-missing", BROKEN["missing import"][0])
    with pytest.raises(PluginNotFoundError) as error:
        load()[0].find("transform", "half")
    assert str(error.value).count("left out:") == 1
    assert "which lacks apply" in str(error.value)


def test_an_unknown_name_lists_every_problem_since_any_may_be_the_cause(install):
    install("acme-missing", BROKEN["missing import"][0], point="acme")
    with pytest.raises(PluginNotFoundError) as error:
        load()[0].find("store", "acme-shards")
    assert "no store plugin is named 'acme-shards'; installed: none." in str(error.value)
    assert "No module named 'no_such_module'" in str(error.value)


def test_one_bad_class_does_not_stop_its_neighbours(install):
    install("acme-mixed", GOOD.replace("[GoodStore]", "['good', GoodStore]"))
    registry, caught = load()
    assert names(registry) == ["good"]
    assert "gave 'good', which is not a class; give the SequenceStore class itself" in caught[0]


def test_an_older_interface_asks_for_another_plugin(install, monkeypatch):
    monkeypatch.setattr("eden_core.hookspecs.INTERFACE_VERSION", 2)
    install("acme-old", GOOD)  # says nothing, so it was written for the first
    message = "written for version 1 of the plugin interface, and eden-core 0.1.0 has version 2: upgrade acme-old"
    assert message in load()[1][0]


def test_the_interface_that_is_here_is_accepted(install):
    install("acme-good", GOOD + "EDEN_INTERFACE = 1\n")
    assert load()[1] == []


def test_a_slow_plugin_works_and_is_noted_with_what_it_imports(install, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr("eden_core.plugin_loading.SLOW_SECONDS", 0)
    (tmp_path / "acme_frames").mkdir()
    (tmp_path / "acme_frames" / "__init__.py").write_text("".join(f"import acme_frames.part{i}\n" for i in range(30)))
    for i in range(30):
        (tmp_path / "acme_frames" / f"part{i}.py").touch()
    install("acme-slow", "import acme_frames\n" + GOOD)
    registry, caught = load()
    assert (names(registry), caught) == (["good"], [])
    [slow] = registry.slow
    assert re.fullmatch(
        r"acme-slow 1\.5 \(.*_fake\): took \d+\.\d s to load; it imports acme_frames \(31 modules\): import these inside .*",
        str(slow),
    )
    assert [record.getMessage() for record in caplog.records] == [f"plugin {slow}"]


def test_a_plugin_that_is_slow_by_itself_says_how_to_find_out(install, monkeypatch):
    monkeypatch.setattr("eden_core.plugin_loading.SLOW_SECONDS", 0)
    install("acme-slow", GOOD)
    assert "`python -X importtime -c 'import acme_slow_" in str(load()[0].slow[0])


def test_quick_plugins_are_not_noted(install):
    install("acme-good", GOOD)
    assert load()[0].slow == []


def test_what_a_plugin_prints_stays_out_of_standard_output(install, capsys):
    install("acme-chatty", "print('hello')\n" + GOOD.replace("    return [", "    print('hook')\n    return ["))
    load()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "hello\nhook\n")


def test_ctrl_c_is_no_fault_of_a_plugin(install):
    install("acme-interrupted", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load()


def test_worker_processes_do_not_repeat_it(install, monkeypatch, tmp_path):
    monkeypatch.delenv("EDEN_DISABLED_PLUGINS")
    install("acme-broken", BROKEN["missing import"][0])
    install("acme-slow", "import time; time.sleep(1.1)\n" + GOOD, point="slow")
    (tmp_path / "script.py").write_text(ASKING)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["1", "1"] * 2, done.stderr
    assert (done.stderr.count("plugin left out"), done.stderr.count("took 1.1 s to load")) == (1, 1)


def test_a_name_of_a_bundled_plugin_stays_with_it(install, monkeypatch):
    monkeypatch.delenv("EDEN_DISABLED_PLUGINS")
    install("acme-sqlite", STORE.format(cls="Mine", name="sqlite-shards"), point="a-first")
    registry, caught = load()
    assert registry.find("store", "sqlite-shards").origin.distribution == "eden-core"
    [warning] = caught
    assert "left out: acme-sqlite 1.5" in warning
    assert "'sqlite-shards' is a name of eden-core 0.1.0 (eden_sqlite); give the class another `name`" in warning


def test_registered_before_the_bundled_one_it_is_left_out_too(monkeypatch):
    registry = PluginRegistry()
    monkeypatch.setattr(Half, "name", "control-tags")
    registry.register(Hooks(), Origin("acme", "1", "acme"))
    with pytest.warns(PluginWarning, match=r"left out: acme 1 \(acme\): transform 'control-tags' is a name of eden-core"):
        registry.load_entry_points()
    assert registry.find("transform", "control-tags").origin.distribution == "eden-core"


@pytest.mark.parametrize("second", ["acme-two", "acme-one"])
def test_a_name_that_two_plugins_claim_is_nobodys(install, second):
    install("acme-one", GOOD, point="one")
    install(second, STORE.format(cls="OtherStore", name="good"), point="two")
    install("acme-three", STORE.format(cls="Third", name="third"), point="three")
    registry, caught = load()
    assert names(registry) == ["third"]
    assert len(caught) == 1
    with pytest.raises(PluginConflictError, match=rf"acme-one 1.5 \(.*_one\) and {second} 1.5 \(.*_two\)"):
        registry.store("good", "/data")


def test_one_name_may_serve_two_kinds(install):
    install("acme-one", GOOD)
    install("acme-two", CLASS + "Fine.name = 'good'\n@hookimpl\ndef eden_transforms():\n    return [Fine]\n")
    registry, caught = load()
    assert [(entry.kind, entry.name) for entry in registry.entries()] == [("store", "good"), ("transform", "good")]
    assert caught == []


def test_a_plugin_may_do_nothing_but_observe(install):
    install("acme-one", IMPORTS + "@hookimpl\ndef eden_batch_read(reading): ...\n", point="watch")
    install("acme-two", IMPORTS + "@hookimpl\ndef eden_batch_read(reading): ...\n", point="watch")
    registry, caught = load()
    found = [(entry.kind, entry.name, entry.origin.distribution, entry.options) for entry in registry.entries()]
    assert found == [("observer", "watch", "acme-one", {}), ("observer", "watch", "acme-two", {})]
    assert caught == []


def test_two_entry_points_may_name_one_module(install, tmp_path):
    install("acme-good", GOOD)
    points = next(tmp_path.glob("acme_good-*/entry_points.txt"))
    module = points.read_text().split()[-1]
    points.write_text(f"[eden]\ngood-store = {module}\ngood-index = {module}\n")
    registry, caught = load()
    assert (names(registry), caught) == (["good"], [])


@pytest.mark.parametrize("disabled", ["eden-core,acme-good", "eden_core , Acme_Good", "eden-core,,acme.good,"])
def test_a_disabled_distribution_is_left_out_without_a_warning(install, monkeypatch, disabled):
    install("acme-good", GOOD, point="good")
    monkeypatch.setenv("EDEN_DISABLED_PLUGINS", disabled)
    registry, caught = load()
    assert (names(registry), caught) == ([], [])
    with pytest.raises(PluginNotFoundError, match=r"acme-good 1.5 \(.*\): left out by EDEN_DISABLED_PLUGINS"):
        registry.find("store", "good")


def test_a_disabled_plugin_is_not_imported(install, monkeypatch):
    install("acme-broken", BROKEN["missing import"][0])
    monkeypatch.setenv("EDEN_DISABLED_PLUGINS", "acme-broken,eden-core")
    assert load()[1] == []


def test_disabling_one_of_two_resolves_their_clash(install, monkeypatch):
    install("acme-one", GOOD, point="one")
    install("acme-two", GOOD, point="two")
    monkeypatch.setenv("EDEN_DISABLED_PLUGINS", "eden-core,acme-one")
    assert load()[0].find("store", "good").origin.distribution == "acme-two"


def test_metadata_without_a_name_stops_nothing(install, tmp_path):
    install("acme-good", GOOD)
    install("acme-other", STORE.format(cls="Other", name="other"))
    next(tmp_path.glob("acme_other-*")).joinpath("METADATA").write_text("Metadata-Version: 2.1\n")
    assert names(load()[0]) == ["good", "other"]


@pytest.mark.parametrize("misspelt", ["god", "GOOD", "goods", "Go_od"])
def test_a_misspelt_name_suggests_the_nearest(install, misspelt):
    install("acme-good", GOOD)
    with pytest.raises(PluginNotFoundError, match=rf"named '{misspelt}' \(did you mean 'good'\?\); installed: good\."):
        load()[0].find("store", misspelt)


def test_a_name_of_another_kind_says_so(install):
    install("acme-good", GOOD)
    with pytest.raises(PluginNotFoundError, match=r"no index plugin is named 'good' \(there is the store 'good'\)"):
        load()[0].index("good", "/data")


def test_options_reach_the_plugin(install):
    install("acme-good", GOOD)
    store = load()[0].store("good", "/data", {"depth": 3})
    assert (store.location, store.depth, store.colour) == ("/data", 3, "red")


def test_a_transform_may_have_a_location_among_its_options(install):
    placed = CLASS.replace("def apply", "def __init__(self, location='here'):\n        self.location = location\n    def apply")
    install("acme-placed", placed + "@hookimpl\ndef eden_transforms():\n    return [Fine]\n")
    made = load()[0].transform("fine", {"location": "there"})
    assert made.fingerprint() == "fine(location='there')"


def test_the_warning_names_the_module_and_no_line_of_edens(install, tmp_path):
    install("acme-broken", "import no_such_module\n")
    script = "from eden_core import installed_plugins; installed_plugins()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True).stderr
    assert re.fullmatch(r"acme_broken_\S+:1: PluginWarning: Eden plugin left out: acme-broken .*no_such_module'\n", said), said


def test_an_unknown_option_is_refused_with_the_known_ones(install):
    install("acme-good", GOOD)
    message = r"store 'good' has no option deep \(did you mean depth\?\); it takes depth, colour"
    with pytest.raises(PluginOptionError, match=message):
        load()[0].store("good", "/data", {"deep": 3})


def test_a_missing_option_is_named(install):
    install("acme-good", GOOD.replace("depth=1", "depth"))
    with pytest.raises(PluginOptionError, match="store 'good' needs the option depth; it takes depth, colour"):
        load()[0].store("good", "/data")


def test_a_plugin_without_options_says_so(install):
    install("acme-fine", CLASS + "@hookimpl\ndef eden_transforms():\n    return [Fine]\n")
    with pytest.raises(PluginOptionError, match="transform 'fine' has no option much; it takes no options"):
        load()[0].transform("fine", {"much": 1})


class Half(Transform):
    name = "half"

    def apply(self, batch, draws):
        return batch


class Hooks:
    @hookimpl
    def eden_transforms(self):
        return [Half]


def test_an_object_can_be_registered_by_hand():
    registry = PluginRegistry()
    registry.register(Hooks())
    assert isinstance(registry.transform("half"), Half)


def test_registering_again_changes_nothing():
    registry, hooks = PluginRegistry(), Hooks()
    registry.register(hooks)
    registry.register(hooks)
    assert names(registry) == ["half"]


def test_registries_do_not_mix():
    PluginRegistry().register(Hooks())
    assert names(PluginRegistry()) == []


def test_the_bundled_plugins_are_installed_and_sound():
    registry, caught = load()
    assert caught == []
    assert {"sqlite-shards", "sqlite", "reverse-complement", "control-tags"} <= set(names(registry))
    assert issubclass(registry.find("store", "sqlite-shards").plugin, SequenceStore)


def test_installed_plugins_are_read_once():
    assert installed_plugins() is installed_plugins()
