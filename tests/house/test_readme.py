"""The examples of the README and of the documents run as they are printed.

Answers for: README.md, docs/tabular.md, docs/model_format.md, docs/reliability.md,
docs/command_line.md, docs/callbacks.md, docs/pictures.md, docs/shipping.md.
"""

import doctest
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import matplotlib
import pytest
from matplotlib import pyplot
from sklearn.datasets import load_iris
from sources import ROOT, read

import skbackprop
from skbackprop import BackpropMLPClassifier, callbacks, cli, onnx, plotting

FENCED = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks(name):
    text = read(ROOT / name)
    return [dedent(code) for code in FENCED.findall(text)]


BLOCKS = blocks("README.md")


def run(block, capsys, names=None):
    exec(compile(block, "example", "exec"), {} if names is None else names)
    return capsys.readouterr().out


def test_examples_are_found():
    assert len(BLOCKS) == 4


def test_grid_search_finds_a_good_model(capsys):
    printed = run(BLOCKS[0], capsys)
    assert float(printed.split()[-1]) > 0.9


def test_network_prints_what_the_comment_says(capsys):
    assert [float(x) for x in re.findall(r"-?\d+\.\d*", run(BLOCKS[3], capsys))] == [
        0.5,
        pytest.approx(-1.0),
        pytest.approx(0.0),
    ]


def test_a_raw_frame_gives_probabilities(capsys):
    no, yes = map(float, re.findall(r"\d\.?[\de+-]*", run(BLOCKS[1], capsys)))
    assert no + yes == pytest.approx(1, abs=1e-6)
    assert yes > 0.5


def test_a_model_leaves_the_process(capsys, tmp_path, monkeypatch):
    """With the names of the examples before it."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS[:2]:
        run(block, capsys, names)
    assert run(BLOCKS[2], capsys, names) == "['no']\n"
    assert {path.name for path in tmp_path.iterdir()} == {
        "digits.checkpoint",
        "people.safetensors",
    }


def test_a_table_is_shipped(capsys, tmp_path, monkeypatch):
    """It asserts what the runtime answers."""
    monkeypatch.chdir(tmp_path)
    names = {}
    shipped, pipeline, _ = blocks("docs/shipping.md")  # the last one is of tests/c
    assert run(shipped, capsys, names).split() == ["age:", "double", "city:", "string"]
    run(pipeline, capsys, names)
    assert {path.name for path in tmp_path.iterdir()} == {"people.onnx", "iris.onnx"}


@pytest.mark.parametrize("page", ["model_format", "reliability"])
def test_pages_of_files_run(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = load_iris(return_X_y=True)
    model = BackpropMLPClassifier(solver="lbfgs", random_state=0).fit(X, y)
    found = blocks(f"docs/{page}.md")
    assert len(found) == 1
    for block in found:
        quick = block.replace("max_iter=500", "max_iter=500, tol=0.1")
        run(quick, capsys, {"model": model, "X": X, "y": y})
    assert any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_page_of_callbacks_runs(capsys):
    """With the names of the examples before it; networks are few and short here."""
    found, names = blocks("docs/callbacks.md"), {}
    if find_spec("sklearn.callback") is None:  # before 1.9
        found = [block for block in found if "sklearn.callback" not in block]
    few, short = 'preset="fast", n_folds=2, max_iter=3', "max_iter=3, early_stopping"
    for block in found:
        quick = block.replace('preset="fast"', few).replace("early_stopping", short)
        run(quick, capsys, names)
    assert len(names["log"]) == 2 * 3 * names["model"].recipe_["n_repeats"]


def test_the_page_of_pictures_runs(capsys, tmp_path, monkeypatch):
    """It writes the picture that it shows."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    names, few = {}, "preset='fast', n_folds=2, random_state=0\n)"
    for block in blocks("docs/pictures.md"):
        run(block.replace("random_state=0\n)", few), capsys, names)
    assert len(names["figure"].axes) == 4
    pyplot.close("all")
    assert {path.name for path in tmp_path.iterdir()} == {"pictures.png"}
    assert "](pictures.png)" in read(ROOT / "docs/pictures.md")
    assert (ROOT / "docs" / "pictures.png").is_file()


#: What show_versions prints is of the machine.
EXAMPLES = {
    **{name: getattr(skbackprop, name) for name in skbackprop.__all__},
    **{f"callbacks.{name}": getattr(callbacks, name) for name in callbacks.__all__},
    **{f"onnx.{name}": getattr(onnx, name) for name in onnx.__all__},
    **{f"plotting.{name}": getattr(plotting, name) for name in plotting.__all__},
}
del EXAMPLES["__version__"], EXAMPLES["show_versions"]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_examples_of_docstrings_run(name):
    """As they are printed."""
    matplotlib.use("Agg")
    public = EXAMPLES[name]
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(public, name):
        runner.run(example)
    pyplot.close("all")
    assert runner.summarize(verbose=False).failed == 0


def test_the_page_on_the_command_line_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = "docs/command_line.md"
    (block,) = blocks(page)
    run(block, capsys)
    commands = re.findall(r"^skbackprop (.*)$", read(ROOT / page), re.MULTILINE)
    assert [line.split()[0] for line in commands] == [
        "train",
        "predict",
        "evaluate",
        "info",
        "export",
    ]
    printed = {}
    for line in commands:
        assert cli.main(shlex.split(line)) == 0
        printed[line.split()[0]] = capsys.readouterr().out
    assert "1 number: 'area' (decimal comma)" in printed["train"]
    assert "1 category: 'district' (3 different)" in printed["train"]
    assert "1 date: 'built' (day/month/year)" in printed["train"]
    assert float(re.search(r"R2 ([\d.]+)", printed["evaluate"])[1]) > 0.8
    header, first, *_ = Path("prices.csv").read_text().splitlines()
    assert header == "id,prediction" and first.startswith("A-0,")


def test_tabular_quantiles_increase(capsys):
    (block,) = blocks("docs/tabular.md")
    run(block, capsys)  # it asserts
