from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory
from srlm.report.overview import write_overview_svg


def test_overview_is_an_svg_that_depends_on_the_records_alone(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", slack=0.1)
    one, two = write_overview_svg(run, tmp_path / "1.svg"), write_overview_svg(run, tmp_path / "2.svg")
    assert one.read_bytes() == two.read_bytes()
    assert ElementTree.parse(one).getroot().tag.endswith("svg")
    other = write_overview_svg(make_run(tmp_path / "other", rounds=2), tmp_path / "3.svg")
    assert other.read_bytes() != one.read_bytes()


def test_overview_of_a_run_without_rounds_is_refused(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", {}, {}).path
    with pytest.raises(InputError, match="no complete round"):
        write_overview_svg(run, tmp_path / "x.svg")
