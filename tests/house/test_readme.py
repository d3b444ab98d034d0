"""The examples of the README and of docs/tabular.md run as they are printed.

Answers for: README.md, docs/tabular.md.
"""

import re
from textwrap import dedent

import pytest
from sources import ROOT, read

FENCED = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks(name):
    text = read(ROOT / name)
    return [dedent(code) for code in FENCED.findall(text)]


BLOCKS = blocks("README.md")


def run(block, capsys):
    exec(compile(block, "example", "exec"), {})
    return capsys.readouterr().out


def test_examples_are_found():
    assert len(BLOCKS) == 3


def test_grid_search_finds_a_good_model(capsys):
    printed = run(BLOCKS[0], capsys)
    assert float(printed.split()[-1]) > 0.9


def test_network_prints_what_the_comment_says(capsys):
    assert [float(x) for x in re.findall(r"-?\d+\.\d*", run(BLOCKS[2], capsys))] == [
        0.5,
        pytest.approx(-1.0),
        pytest.approx(0.0),
    ]


def test_a_raw_frame_gives_probabilities(capsys):
    no, yes = map(float, re.findall(r"\d\.?[\de+-]*", run(BLOCKS[1], capsys)))
    assert no + yes == pytest.approx(1, abs=1e-6)
    assert yes > 0.5


def test_tabular_quantiles_increase(capsys):
    (block,) = blocks("docs/tabular.md")
    run(block, capsys)  # it asserts
