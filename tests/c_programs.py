"""Programs of C around the headers that ``to_c`` writes."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from skbackprop.c import to_c

#: What a careful user compiles with.
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
C, CXX = ["-std=c99", *WARNINGS], ["-std=c++17", *WARNINGS]
SANITIZED = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compiler(*names: str) -> str:
    """The first of these that is here; it is needed to install the package too."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"none of the compilers {', '.join(names)} is here")


class Rows(NamedTuple):
    """Rows for a model, as Python reads them and as C does."""

    X: Any
    #: Of shape (n, n_numbers); the features of a ``BackpropMLP*``.
    numbers: Any
    #: Of shape (n, n_codes), int; None where the model has none.
    codes: Any = None


def rows_of(encoder: Any, frame: pd.DataFrame) -> Rows:
    """The rows of a frame, with codes as the header's comment describes them."""
    numbers, codes = [], []
    for j in dict.fromkeys(encoder.numeric_features_):  # a date is there for each part
        column = frame.iloc[:, j]
        if j not in encoder.date_features_:
            numbers.append(column.astype(float))
            continue
        clock = column.dt
        numbers += [
            (column - pd.Timestamp(0)) / pd.Timedelta(days=1),
            *(clock.year, clock.month, clock.day_of_week),
            clock.hour + clock.minute / 60,
        ]
    for j, known, has_missing in zip(
        encoder.categorical_features_,
        encoder.categories_,
        encoder.missing_categories_,
        strict=True,
    ):
        code_of = {value: code for code, value in enumerate(known, 1)}
        missing = len(known) + 1 if has_missing else 0
        codes.append(
            [missing if pd.isna(v) else code_of.get(v, 0) for v in frame.iloc[:, j]]
        )
    n = len(frame)
    return Rows(
        frame,
        np.column_stack([np.empty((n, 0)), *numbers]),
        np.column_stack([np.empty((n, 0), int), *codes]) if codes else None,
    )


class Answers(NamedTuple):
    #: Of shape (n, n_outputs): probabilities, or predictions of a regressor.
    outputs: Any
    #: Places in classes_, or 0 and 1 of labels; none of a regressor.
    labels: Any


_RUN = """
#include "{name}.h"
static void run_{name}(FILE *in, FILE *out)
{{
    long n;
    take(&n, sizeof n, in);
    for (long i = 0; i < n; i++) {{
        {real} numbers[{n_numbers} + 1], y[{n_outputs}];
        int codes[{n_codes} + 1], labels[{n_outputs}];
        take(numbers, {n_numbers} * sizeof *numbers, in);
        take(codes, {n_codes} * sizeof *codes, in);
        labels[0] = 0;
        (void)codes;
        {calls}
        fwrite(y, sizeof *y, {n_outputs}, out);
        fwrite(labels, sizeof *labels, {n_labels}, out);
    }}
}}
"""
_MAIN = """
int main(int argc, char **argv)
{
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[argc - 1], "wb");
    %s
    return fclose(in) + fclose(out);
}
"""
_TAKE = """
#include <stdio.h>
#include <stdlib.h>
static void take(void *to, size_t n, FILE *in)
{
    if (fread(to, 1, n, in) != n)
        abort();
}
"""


class Model:
    """A model, its header and the rows to run it on."""

    def __init__(self, name: str, estimator: Any, rows: Rows, **options: Any) -> None:
        self.name, self.estimator, self.rows = name, estimator, rows
        self.source = to_c(estimator, name, **options)
        # Of a model that reads codes alone, what it writes tells the type.
        self.real = re.search(r"predict\w*\(.*?(float|double) \*\w+\)", self.source)[1]
        self.n_outputs = self.count("OUTPUTS")
        self.kind = getattr(estimator, "_y_type", "")
        self.n_labels = 1 if self.kind else 0
        if self.kind == "multilabel-indicator":
            self.n_labels = self.n_outputs

    def count(self, what: str) -> int:
        found = re.search(rf"define {self.name.upper()}_N_{what} (\d+)", self.source)
        return int(found[1]) if found else 0

    def run(self) -> str:
        """The function of C that runs it."""
        inputs = []
        if self.count("NUMBERS") or self.count("FEATURES"):
            inputs.append("numbers")
        if self.count("CODES"):
            inputs.append("codes")
        given, name = ", ".join(inputs), self.name
        if not self.kind:
            calls = f"{name}_predict({given}, y);"
        elif self.n_labels == 1:
            calls = f"{name}_predict_proba({given}, y); "
            calls += f"labels[0] = {name}_predict({given});"
        else:
            calls = f"{name}_predict_proba({given}, y); "
            calls += f"{name}_predict({given}, labels);"
        return _RUN.format(
            name=name,
            real=self.real,
            n_numbers=self.count("NUMBERS") or self.count("FEATURES"),
            n_codes=self.count("CODES"),
            n_outputs=self.n_outputs,
            n_labels=self.n_labels,
            calls=calls,
        )

    def bytes(self) -> bytes:
        """The rows as the program reads them."""
        dtype = {"float": np.float32, "double": np.float64}[self.real]
        with np.errstate(over="ignore"):
            numbers = np.asarray(self.rows.numbers, dtype)
        parts = [np.array(len(numbers), np.int_).tobytes()]
        for i, row in enumerate(numbers):
            parts.append(row.tobytes())
            if self.rows.codes is not None:
                parts.append(np.asarray(self.rows.codes[i], np.intc).tobytes())
        return b"".join(parts)

    def answers(self, data: bytes) -> tuple[Answers, bytes]:
        """What the program has written for this model, and the rest."""
        real = np.float32 if self.real == "float" else np.float64
        row = np.dtype([("y", real, self.n_outputs), ("label", np.intc, self.n_labels)])
        n = len(self.rows.numbers)
        table = np.frombuffer(data[: n * row.itemsize], row)
        labels = table["label"].reshape(n, self.n_labels)
        answers = Answers(table["y"].reshape(n, self.n_outputs), labels)
        return answers, data[n * row.itemsize :]


def run(
    models: list[Model], folder: Path, compiler: str, options: list[str], end: str = "c"
) -> dict[str, Answers]:
    """Compile all models into one program, and run it."""
    folder.mkdir()
    for model in models:
        (folder / f"{model.name}.h").write_text(model.source, encoding="ascii")
    calls = "\n    ".join(f"run_{model.name}(in, out);" for model in models)
    text = _TAKE + "".join(model.run() for model in models) + _MAIN % calls
    (folder / f"main.{end}").write_text(text, encoding="ascii")
    (folder / "in").write_bytes(b"".join(model.bytes() for model in models))
    command = [compiler, *options, "-o", "program", f"main.{end}", "-lm"]
    for each in command, ["./program", "in", "out"]:
        done = subprocess.run(
            each, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    data, found = (folder / "out").read_bytes(), {}
    for model in models:
        found[model.name], data = model.answers(data)
    assert not data
    return found
