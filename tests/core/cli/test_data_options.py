from typing import get_args

from eden_core.cli.data_options import DataOption


def test_the_help_spells_the_class_as_it_is():
    assert "argument of EdenDataset," in get_args(DataOption)[1].help
