"""The machine: pinned threads, a description, and the peak of its arithmetic."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median
from threading import Thread

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

LIBRARIES = ("skbackprop", "numpy", "scipy", "scikit-learn", "torch", "jax")

# Accumulators by name: compilers keep those in registers, arrays only at times.
# Twelve vectors and two operands fit in the sixteen registers of AVX2 and hide
# the latency of its FMA; other instruction sets have 32 registers.
FMA_LOOP = r"""
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#if defined(__AVX__) && !defined(__AVX512F__)
#define COUNT 12
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#else
#define COUNT 16
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) \
    F(12) F(13) F(14) F(15)
#endif
#define START(i) vector a##i = x + i;
#define FMA(i) a##i = a##i * x + y;
#define SUM(i) + a##i
#define LOOP(real, name)                                                    \
    double name(long n, real x0, real y0, real *out) {                      \
        typedef real vector __attribute__((vector_size(BYTES)));            \
        vector zero = {0}, x = zero + x0, y = zero + y0, sum;               \
        EACH(START)                                                         \
        for (long i = 0; i < n; i++) { EACH(FMA) }                          \
        sum = zero EACH(SUM);                                               \
        *out = sum[0];                                                      \
        return 2.0 * n * COUNT * (BYTES / sizeof(real));                    \
    }
LOOP(float, float32)
LOOP(double, float64)
"""


def pin_threads(threads: int, cpus: int | None = None) -> None:
    """Limit every library to `threads`, this process to `cpus` (as many if None).

    The variables are read when the libraries are loaded, and they already are: the
    script is started anew if need be.
    """
    wanted = thread_variables(threads)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        command = [sys.executable, *sys.orig_argv[1:]]
        raise SystemExit(subprocess.call(command, env={**os.environ, **wanted}))
    if sys.platform == "linux":
        # Some pools obey no variable. The last CPUs: the first serve interrupts.
        last = sorted(os.sched_getaffinity(0))[-(cpus or threads) :]
        os.sched_setaffinity(0, last)


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment in which every library has so many threads."""
    wanted = {
        name: str(threads)
        for name in (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "BLIS_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "NPROC",  # the size of XLA's pools
        )
    }
    wanted["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of workers beside us
    eigen = "true" if threads > 1 else "false"
    wanted["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={eigen}"
    return wanted


def describe(libraries: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Return what a reader needs in order to compare with another machine."""
    facts = {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "Python": platform.python_version(),
    }
    for name in libraries:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "not installed"
    facts["level of skbackprop"] = level() or "the build has no levels"
    import scipy.linalg  # noqa: F401  loads SciPy's own BLAS, so that it is listed

    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            facts[f"BLAS {Path(pool['filepath']).name.split('-')[0]}"] = (
                f"{pool['internal_api']} {pool['version']}, "
                f"detected {pool.get('architecture', 'unknown core')}, "
                f"{pool['num_threads']} threads"
            )
    return facts


def blas_cores() -> str:
    """Return the cores that the BLAS libraries take the CPU for."""
    import scipy.linalg  # noqa: F401  loads SciPy's own

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(sorted({pool.get("architecture", "unknown") for pool in pools}))


def level() -> str | None:
    """Return the instruction set that skbackprop uses; None where it has one only."""
    try:
        import skbackprop.core
    except ImportError:
        return None
    found = getattr(skbackprop.core, "level", None)
    return None if found is None else str(found)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


class Peak:
    """The peak of one core in FLOP per second, the median of samples between rounds.

    A clock that changes changes the peak too: one best moment would be no measure.

    'fma' is a compiled loop of independent multiply-adds, 'matmul' NumPy's
    product of large square matrices: the stand-in where there is no compiler.
    """

    def __init__(self) -> None:
        self.fma: dict[str, list[float]] = {}
        self.matmul: dict[str, list[float]] = {}
        self._loops = _compile_fma_loops()

    def sample(self) -> None:
        """Measure once more: clocks and neighbours change while the rest runs."""
        for dtype in ("float32", "float64"):
            loop = self._loops.get(dtype)
            if loop is not None:
                self.fma.setdefault(dtype, []).append(_fma_rate(loop, dtype))
            self.matmul.setdefault(dtype, []).append(_matmul_rate(dtype))

    def typical(self, dtype: str) -> float:
        """Return the peak that shares refer to."""
        return max(
            median(each[dtype]) for each in (self.fma, self.matmul) if dtype in each
        )

    def two_at_once(self) -> float | None:
        """Return how much faster two threads do two loops than one does one.

        2 on two cores that nobody else uses. None where there is no compiler.
        """
        loop = self._loops.get("float32")
        if loop is None:
            return None
        work = partial(_loop_seconds, loop, "float32", 20_000_000)
        alone = work()[0]
        threads = [Thread(target=work) for _ in range(2)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 2.0 * alone / (time.perf_counter() - began)

    def __str__(self) -> str:
        parts = [
            f"{dtype} {median(rates[dtype]) / 1e9:.0f} ({kind})"
            for kind, rates in (("FMA loop", self.fma), ("matmul", self.matmul))
            for dtype in rates
        ]
        return "GFLOP/s of one core: " + ", ".join(parts)


def _compile_fma_loops() -> dict[str, ctypes._CFuncPtr]:
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None or os.name == "nt":
        return {}
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "fma.c"), Path(folder, "fma.so")
        source.write_text(FMA_LOOP)
        flags = ["-O3", "-march=native", "-shared", "-fPIC", "-o", str(library)]
        command = [compiler, *flags, str(source)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return {}
        # The file may go once it is loaded.
        loaded = ctypes.CDLL(str(library))
    loops: dict[str, ctypes._CFuncPtr] = {}
    for dtype, real in (("float32", ctypes.c_float), ("float64", ctypes.c_double)):
        loop = loaded[dtype]
        loop.restype = ctypes.c_double
        loop.argtypes = [ctypes.c_long, real, real, ctypes.POINTER(real)]
        loops[dtype] = loop
    return loops


def _loop_seconds(
    loop: ctypes._CFuncPtr, dtype: str, turns: int
) -> tuple[float, float]:
    """Return the seconds that the loop takes, and its FLOP."""
    real = ctypes.c_float if dtype == "float32" else ctypes.c_double
    began = time.perf_counter()
    flop = loop(turns, 0.5, 0.5, ctypes.byref(real()))
    return time.perf_counter() - began, flop


def _fma_rate(loop: ctypes._CFuncPtr, dtype: str) -> float:
    timed = [_loop_seconds(loop, dtype, 1_000_000) for _ in range(5)]
    return max(flop / seconds for seconds, flop in timed)


def _matmul_rate(dtype: str, n: int = 1_024) -> float:
    A = np.full((n, n), 0.5, dtype=dtype)
    out = np.empty_like(A)
    rate = 0.0
    with threadpool_limits(1, user_api="blas"):
        for _ in range(3):
            began = time.perf_counter()
            np.matmul(A, A, out=out)
            rate = max(rate, 2.0 * n**3 / (time.perf_counter() - began))
    return rate
