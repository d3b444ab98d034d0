"""skbackprop with its portable kernels, for any machine."""

from functools import partial

from .in_child import prepare_at

prepare = partial(prepare_at, "portable")
