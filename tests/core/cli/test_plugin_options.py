"""Options of stores and indexes have one spelling, whatever the command."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from in_threads import InThread
from typer.testing import CliRunner

from eden_core import hookimpl, installed_plugins
from eden_core.cli import commands, precompute
from eden_core.cli.plugin_options import parse_options
from eden_core.errors import PluginOptionError

BUILDS_ONLY = {"prepare"}
"""commands with --index that read no index"""


@pytest.fixture(scope="module")
def eden() -> typer.Typer:
    return commands()


def test_each_command_with_a_plugin_takes_its_options(eden):
    every: Any = typer.main.get_command(eden)
    options = {name: {o for p in command.params for o in p.opts} for name, command in every.commands.items()}
    plugins = {"--store", "--index", "--from-store", "--from-index"}
    lacking = {(name, one) for name, known in options.items() for one in plugins & known if f"{one}-options" not in known}
    assert lacking == {(name, "--index") for name in BUILDS_ONLY}
    assert not [name for name, known in options.items() if {"--store-option", "--from-store-option"} & known]


@pytest.mark.parametrize("text", ["max_open_files=7", "[7]", "7", ""])
def test_what_is_no_object_is_refused(eden, text):
    done = CliRunner().invoke(eden, ["contigs", "data", "--store-options", text])
    assert done.exit_code == 2
    assert f"'--store-options': {text!r} is no JSON object; write one, such as" in done.stderr


def test_values_keep_their_types():
    assert parse_options('{"a": 1, "b": true, "c": ".txt", "d": null}') == {"a": 1, "b": True, "c": ".txt", "d": None}


OF_BOTH = {
    "verify": ("{}", "--contigs", "{}/all.parquet"),
    "doctor": ("{}",),
    "inspect": ("{}",),
    "bench": ("{}", "--workers", "0"),
    "preview": ("--data", "{}"),
}
OF_STORES = {
    "contigs": ("{}", "--out", "{}/other.parquet"),
    "optimize": ("{}",),
    "split": ("{}/all.parquet", "--out", "{}/splits", "--sequence-db-dir", "{}", "--check-leakage", "--force"),
    "import": ("{}/genome.fa", "--out", "{}/new"),
    "prepare": ("{}/genome.fa", "--out", "{}/new"),
}


@pytest.fixture(scope="module")
def folder(small, eden, tmp_path_factory) -> Path:
    """A copy of `small`, with what some commands need before they open a store."""
    folder = tmp_path_factory.mktemp("options") / "data"
    shutil.copytree(small.directory, folder)
    (folder / "genome.fa").write_text(">c\nACGT\n")
    assert CliRunner().invoke(eden, ["contigs", str(folder), "--out", str(folder / "all.parquet")]).exit_code == 0
    return folder


@pytest.mark.parametrize(("command", "kind"), [*((c, "store") for c in OF_BOTH | OF_STORES), *((c, "index") for c in OF_BOTH)])
def test_an_option_that_there_is_not_is_an_error_that_lists_those_there_are(eden, folder, command, kind):
    arguments = [text.format(folder) for text in (OF_BOTH | OF_STORES)[command]]
    done = CliRunner().invoke(eden, [command, *arguments, f"--{kind}-options", '{"deep": 1}'])
    assert isinstance(done.exception, PluginOptionError), done.output
    assert f"{kind} {'sqlite-shards' if kind == 'store' else 'sqlite'!r} has no option deep" in str(done.exception)


class TextFilesAndThreads:
    @hookimpl
    def eden_sequence_stores(self):
        from eden_text_files import TextFiles

        return [TextFiles]

    @hookimpl
    def eden_executors(self):
        return [InThread]


@pytest.fixture
def text_files(monkeypatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "docs" / "example-plugin")
    registry, plugin = installed_plugins(), TextFilesAndThreads()
    before = dict(registry._entries)
    registry.register(plugin)
    yield
    registry._manager.unregister(plugin)
    registry._entries = before


def test_commands_hand_the_options_of_a_store_on_to_their_tasks(eden, text_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(2)
    Path("genome.fa").write_text("".join(f">contig{i}\n{''.join(draw.choices('ACGT', k=900))}\n" for i in range(9)))

    def run(*command: object, app: typer.Typer = eden) -> str:
        done = CliRunner().invoke(app, [*map(str, command)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    options, there = '{"suffix": ".seq"}', ("--executor", "in-thread")
    store = ("--store", "text-files", "--store-options", options)
    run("import", "genome.fa", "--out", "data", "--sample", "s1", "--tag", "BACT", *store, *there)
    Path("data", "contigs.parquet").unlink()
    run("contigs", "data", *store, "--digests", *there)
    shares = ("--train", 0.6, "--validation", 0.2, "--test", 0.2)
    assert "leakage: 0 of" in run("split", "data/contigs.parquet", "--out", "data", *shares, "--check-leakage", *store, *there)
    run("data/train.parquet", "data/train_windows.db", "--window-size", 64, "--stride", 48, app=precompute.app)
    assert "nothing is wrong" in run("verify", "data", *store, *there)
    assert "ready" in run("doctor", "data", *store, "--num-workers", 0, *there)
    assert "store_options={'suffix': '.seq'}" in run("inspect", "data", *store)
    assert "rows 0:16" in run("preview", "--data", "data", *store)
    old = ("--from-store", "text-files", "--from-store-options", options)
    assert "out', seq_length=64)" in run("convert", "data", "out", *old, "--store", "sqlite-shards", *there)
