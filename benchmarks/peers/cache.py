"""Results in a file of JSON lines: nothing is measured twice, nothing lost."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

from peers.fits import Fit, Result


class Cache:
    """Results by what was fitted, the version of the model and of the data.

    The file is only ever added to. A line that an interrupt cut off is passed over.
    """

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one."""
        self._path = path
        self._results: dict[str, Result] = {}
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                self._results[json.dumps(entry["key"])] = entry["result"]
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, fit: Fit, version: str, fingerprint: str) -> Result | None:
        """Return the result, None if there is none yet."""
        return self._results.get(json.dumps(_key(fit, version, fingerprint)))

    def keep(
        self, fit: Fit, version: str, fingerprint: str, result: Result, machine: str
    ) -> Result:
        """Add a result, with the day and the machine, and return it so."""
        result = {**result, "day": date.today().isoformat(), "machine": machine}
        key = _key(fit, version, fingerprint)
        self._results[json.dumps(key)] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A leading line break would separate it from a line that was cut off.
        cut = self._path.exists() and not self._path.read_bytes().endswith(b"\n")
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * cut + json.dumps({"key": key, "result": result}) + "\n")
            file.flush()
        return result


def _key(fit: Fit, version: str, fingerprint: str) -> dict[str, object]:
    key = asdict(fit)
    key.pop("folder")  # the data's fingerprint says more
    if not fit.split:  # as results were kept before there were other splits
        key.pop("split")
    return {**key, "version": version, "fingerprint": fingerprint}
