"""Headers of C: names, comments and texts, numbers, sizes, and what is refused.

Answers for: c/_header.py, c/_literals.py, docs/shipping.md.
"""

import doctest
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from c_programs import CXX, C, compiler
from helpers import fast_classifier, fast_regressor
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sources import ROOT, read

import skbackprop.c
from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor, TabularMLPClassifier
from skbackprop.c import to_c
from skbackprop.c._literals import Part, comment, flash, string

#: Texts that would end a comment or a string, or be no ASCII.
HOSTILE = [
    "*/ int main",
    "/* /*/ //",
    "backslash\\",
    "backslash, line\\\nnext",
    "??/",
    "trigraphs ??( ???) ?\\?/",
    "quote \" ' %d",
    "caf\u00e9 \u2028 \U0001f600 \x00\x7f\t1",
    "@NAME real W {name}",
    "#include <x.h>",
    "7\u00e97",
]
X = np.random.default_rng(0).standard_normal((60, 3))


@pytest.fixture(scope="module")
def network():
    model = BackpropMLPClassifier((4,), max_iter=200, tol=0.1, random_state=0)
    return model.fit(
        X, np.array(["\u00e4", "*/", '"'])[np.digitize(X[:, 0], [-0.5, 0.5])]
    )


@pytest.fixture(scope="module")
def table():
    frame = pd.DataFrame({name: X[:55, 0] for name in HOSTILE[4:7]})
    frame = frame.assign(**{HOSTILE[0]: HOSTILE * 5})
    model = fast_classifier(n_folds=2, max_iter=2, hidden_layer_sizes=(3,))
    return model.fit(frame, np.array(HOSTILE[:2] * 30)[:55])


def compiled(source, tmp_path, after="", options=C, end="c"):
    """What a program prints that includes a header."""
    path = tmp_path / f"main.{end}"
    (tmp_path / "model.h").write_text(source, encoding="ascii")
    path.write_text(
        '#include <stdio.h>\n#include "model.h"\n#include "model.h"\n'
        f"int main(void)\n{{\n{after}\nreturn 0;\n}}\n",
        encoding="ascii",
    )
    names = ("c++", "g++") if end == "cc" else ("cc", "gcc", "clang")
    command = [compiler(*names), *options, "-o", tmp_path / "it", path, "-lm"]
    for each in command, [tmp_path / "it"]:
        done = subprocess.run(each, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("options", "end"), [(C, "c"), (CXX, "cc")])
def test_texts_come_back(tmp_path, table, options, end):
    """And a header that is included twice is there once."""
    known = table.encoder_.categories_[0]
    assert set(known) == set(HOSTILE)
    prints = "".join(
        f"fwrite(model_codes_0[{code}], 1, sizeof {string(text)}, stdout);\n"
        for code, text in enumerate(known, 1)
    ) + "".join(
        f"fwrite(model_classes[{place}], 1, sizeof {string(text)}, stdout);\n"
        for place, text in enumerate(table.classes_)
    )
    # Of a trigraph that gcc would read, but for -std=gnu*, it warns: an error here.
    printed = compiled(to_c(table), tmp_path, prints, options, end)
    texts = [*known, *table.classes_]
    raw = b"".join(t.encode("utf-8", "surrogatepass") + b"\0" for t in texts)
    assert printed == raw


def test_texts_can_be_left_out(tmp_path, table):
    source = to_c(table)
    compiled(source, tmp_path, options=[*C, "-DMODEL_NO_TEXT"])
    kept = re.sub(r"#ifndef MODEL_NO_TEXT.*?#endif", "", source, flags=re.S)
    assert "const char" in source and "const char" not in kept


def test_where_there_is_no_nan_there_is_no_missing_number(tmp_path, network, table):
    compiled(to_c(network), tmp_path, options=[*C, "-ffast-math"])
    with pytest.raises(AssertionError, match="NaN stands for a missing number"):
        compiled(to_c(table), tmp_path, options=[*C, "-ffast-math"])


def test_source_is_ascii(network, table):
    for model in network, table:
        assert to_c(model).isascii()


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800"])
def test_a_comment_is_one(text):
    said = comment(f"column {string(text)} here", "and more")
    assert said.index("*/") == len(said) - 2
    assert said.count("/*") == 1


def test_long_texts_are_cut():
    assert string("x" * 2000) == '"' + "x" * 1000 + '..."'
    assert string("x" * 1000) == '"' + "x" * 1000 + '"'


def odd_numbers(dtype):
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    odd = [0.0, -0.0, 1, -3, 0.1, 1e22, info.max, info.min, info.tiny, info.eps / 3]
    odd += [info.smallest_subnormal, -info.smallest_subnormal, 1e16, 123456789]
    return np.array([*odd, *rng.standard_normal(200)], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("options", "end"), [(C, "c"), (CXX, "cc")])
def test_numbers_are_read_back_exactly(tmp_path, dtype, options, end):
    values = odd_numbers(dtype)
    text = flash("numbers", np.dtype(dtype), [Part("", values)])
    text = f"#ifndef H\n#define H\n{text.replace('@FLASH', '')}\n#endif\n"
    prints = "fwrite(numbers, 1, sizeof numbers, stdout);"
    printed = np.frombuffer(compiled(text, tmp_path, prints, options, end), dtype)
    assert_array_equal(printed.view(np.uint8), values.view(np.uint8))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_are_those_of_the_arrays(tmp_path, network, table, dtype):
    for model in network, table:
        source = to_c(model, dtype=dtype)
        said = re.search(r"(\d+) bytes of constants.*?(\d+) bytes of", source, re.S)
        arrays = re.findall(r"static const (?:float|double) (\w+)\[\]", source)
        total = " + ".join(f"sizeof {name}" for name in arrays)
        printed = compiled(source, tmp_path, f'printf("%d", (int)({total}));')
        assert printed.decode() == said[1]
        assert int(said[2]) == stack_bytes(model, np.dtype(dtype).itemsize)


def stack_bytes(model, real):
    """Every second layer has the same array; an int and a position have four bytes."""
    if isinstance(model, BackpropMLPClassifier):  # 3-4-3, and p
        return (4 + 3) * real
    e = model._bag[0].embeddings
    assert (e.n_numbers, e.n_plain, e.n_codes) == (3, 0, 1)
    width = 3 * e.dimension + e.code_dimension
    # A_0, A_1, z, p.
    return (width + 3 + 1 + 2) * real + 4 * (3 + 1)


@pytest.mark.parametrize("name", ["a", "model_2", "A1", "int", "x" * 31])
def test_names(tmp_path, network, name):
    source = to_c(network, name)
    compiled(
        source, tmp_path, f"(void){name}_predict;\n(void){name.upper()}_N_OUTPUTS;"
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "_a",
        "a_",
        "a__b",
        "2a",
        "a-b",
        "a b",
        "\u00e4",
        "a\n",
        "x" * 32,
        3,
        None,
        "a*/",
    ],
)
def test_names_that_are_refused(network, name):
    with pytest.raises(ValueError, match="name must begin with a letter"):
        to_c(network, name)


def test_other_estimators_are_refused(network):
    with pytest.raises(
        TypeError, match=r"estimator must be one of Back.*LogisticRegression"
    ):
        to_c(LogisticRegression())
    for model in BackpropMLPClassifier(), TabularMLPClassifier():
        with pytest.raises(NotFittedError):
            to_c(model)


@pytest.mark.parametrize("dtype", ["float16", int, "no type", object()])
def test_other_types_are_refused(network, dtype):
    with pytest.raises(ValueError, match="dtype must be None, float32 or float64"):
        to_c(network, dtype=dtype)


@pytest.mark.parametrize("n_networks", [0, 3, -1, 1.0, "1", True])
def test_other_numbers_of_networks_are_refused(network, table, n_networks):
    with pytest.raises(
        ValueError, match="n_networks must be None or an int from 1 to 2"
    ):
        to_c(table, n_networks=n_networks)
    with pytest.raises(ValueError, match="n_networks must be None for BackpropMLP"):
        to_c(network, n_networks=n_networks)


def test_numbers_that_float_has_not_are_refused():
    model = BackpropMLPRegressor((2,), max_iter=200, tol=1.0).fit(X, X[:, 0])
    model.coefs_[0][0, 0] = 1e39
    to_c(model)
    with pytest.raises(ValueError, match="coefficients must be finite in float32"):
        to_c(model, dtype="float32")
    model.coefs_[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="coefficients must be finite in float64"):
        to_c(model)


def test_targets_that_float_has_not_are_refused():
    settings = {"n_folds": 2, "max_iter": 1, "hidden_layer_sizes": (2,)}
    for size in 1e-60, 1e60:
        model = fast_regressor(**settings).fit(X, X[:, 0] * size)
        to_c(model, dtype="float64")
        with pytest.raises(ValueError, match=r"target_.* which float32 does not have"):
            to_c(model)


def test_the_comment_names_the_elements():
    frame = pd.DataFrame({"a": X[:, 0], "b": "one", "c": 1.0, "d": list("xyz") * 20})
    settings = {"n_folds": 2, "max_iter": 1, "hidden_layer_sizes": (2,)}
    source = to_c(fast_classifier(**settings).fit(frame, X[:, 0] > 0), "m")
    for line in (
        "m_predict_proba(const float *numbers, const int *codes, float *p)",
        'numbers[M_N_NUMBERS], float:\n *     0 "a"\n *     1 "c", not used\n',
        'codes[M_N_CODES], int:\n *     0 "b", not used\n *     1 "d", 1 to 3\n',
    ):
        assert line in source


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = read(ROOT / "docs" / "shipping.md").partition("\n## C\n")[2]
    (python, program) = re.findall(r"```(?:python|c)\n(.*?)```", section, re.S)
    exec(compile(python, "example", "exec"), {})
    (tmp_path / "main.c").write_text(program, encoding="ascii")
    path = compiler("cc", "gcc", "clang")
    subprocess.run([path, *C, "-o", "it", "main.c", "-lm"], check=True)
    said = subprocess.run(["./it"], check=True, capture_output=True, text=True).stdout
    word, p = said.split()
    assert word == ("yes" if float(p) > 0.5 else "no")


def test_the_example_runs():
    for example in doctest.DocTestFinder().find(skbackprop.c.to_c, "to_c"):
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
