"""The engine of one instruction set and one real type.

Whatever a call works on is checked when the object that holds it is made: ``Table``
(the rows), ``Workspace`` (a network and its buffers), ``Trainer`` (both, and an
optimiser). Nothing below a ``def`` allocates, raises or holds the GIL. The equations
are in passes.pxd and updates.pxd.
"""

from libc.limits cimport INT_MAX
from libc.math cimport isfinite
from libc.stdint cimport uintptr_t
from libc.string cimport memset

import numpy as np

from .activations cimport (
    Activation,
    activate,
    needs_z,
    softmax,
    times_derivative,
)
from .dropout cimport mask_of
from .elementary cimport (
    exponential,
    exponential_less_one,
    hyperbolic_tangent,
    log_of_one_plus,
    logistic,
    normal_tail,
    uint64_t,
)
from .embeddings cimport EmbeddingLayer, Embeddings, curve_elements
from .gather cimport Rows
from .kinds cimport DENSE
from .layers cimport Batch, Layer, Network
from .losses cimport Loss, LossOf
from .matrix cimport ROW_CHUNK, Matrix, align_up, elements, in_panels, row_major
from .optimizers cimport Optimizer, StepScale, decay, rate, slots
from .passes cimport (
    block_rows,
    forward,
    forward_backward,
    gradients,
    inputs_gradient,
    n_chunks,
    pack_parameters,
    sum_all,
)
from .products cimport affine_rows, half_square, is_narrow, packed_elements
from .real cimport REAL_BYTES, real
from .simd cimport PANELS
from .subnormals cimport flush, restore
from .team cimport (
    Thread,
    ThreadTeam,
    alone,
    barrier,
    join_team,
    part_start,
    part_stop,
    stopped,
    thread_of,
)
from .topology cimport Topology
from .updates cimport (
    Group,
    Parameters,
    clip_factor,
    group_blocks,
    n_blocks,
    update_layers,
    update_part,
)

MISALIGNED = "arrays must be aligned: copy them"
REAL = np.float32 if REAL_BYTES == 4 else np.float64

cdef extern from *:
    """
    /* With a sanitizer every matrix has an allocation of its own, so that it sees one
       that is written over its end. */
    #if defined(__SANITIZE_ADDRESS__) || defined(SKB_SEPARATE)
      #define SKB_APART 1
    #else
      #define SKB_APART 0
    #endif
    """
    const bint APART "SKB_APART"

cdef enum:
    # Rows for which packing W would cost more than it saves.
    FEW = 8
    # Columns of a plan: factors of learning rate, dropout and weight decay.
    RATE_ = 0
    DROPOUT_ = 1
    DECAY_ = 2
    N_FACTORS = 3

include "kernels.pxi"
include "table.pxi"
include "workspace.pxi"
include "trainer.pxi"


def predict(
    Workspace workspace not None,
    Table table not None,
    const Py_ssize_t[::1] order,
    Py_ssize_t start,
    Py_ssize_t stop,
    real[::1] out,
    bint raw,
    ThreadTeam team=None,
):
    """out = A_J of rows start to stop of the order, row-major; Z_J where raw.

    A ``team`` of one can be called off, and then out is of no use.
    """
    cdef Thread me = thread_of(team, 0)
    cdef Rows rows = table.in_order(order, start, stop)
    workspace.check(table, stop - start, False)
    check_aligned(out)
    if out.shape[0] != (stop - start) * workspace.topology.size[workspace.net.J]:
        raise ValueError(
            f"out must have {(stop - start) * workspace.topology.n_outputs} elements"
        )
    if start < stop:
        with nogil:
            outputs(&workspace.net, &rows, start, stop - start, &out[0], raw, me)


def predict_few(
    Topology topology not None,
    const real[::1] theta,
    const real[:, ::1] X,
    real[:, ::1] out,
    bint raw,
):
    """out = A_J of a few rows, with a workspace made for them; Z_J where raw.

    ``predict`` without its objects: what they cost is most of such a call.
    """
    cdef Rows rows
    cdef Workspace workspace = Workspace.__new__(Workspace)
    cdef Py_ssize_t n = X.shape[0]
    if X.shape[1] != topology.n_columns or n == 0:
        raise ValueError(f"X must have rows, and {topology.n_columns} columns")
    if out.shape[0] != n or out.shape[1] != topology.size[topology.n_layers]:
        raise ValueError(f"out must have shape {(n, topology.n_outputs)}")
    check_address(&X[0, 0])
    check_address(&out[0, 0])
    workspace.make(topology, topology, theta, n)
    memset(&rows, 0, sizeof(Rows))
    rows.X, rows.n, rows.p = &X[0, 0], n, X.shape[1]
    with nogil:
        outputs(&workspace.net, &rows, 0, n, &out[0, 0], raw, alone())


cdef void outputs(
    Network* net, const Rows* rows, Py_ssize_t start, Py_ssize_t n, real* out, bint raw,
    Thread me,
) noexcept nogil:
    """A_J of n rows, row-major, or Z_J."""
    cdef Layer* output = &net.layers[net.J]
    cdef Batch batch = batch_of(start, n)
    cdef Py_ssize_t first = 0, last
    pack_parameters(net, alone())
    while first < n and not stopped(me):
        last = min(first + net.block, n)
        forward(net, rows, &batch, first, last, me)
        first = last
    if not raw and output.activation == Activation.SOFTMAX:
        softmax(output.Z.data, out, n, output.q)
    else:
        activate(
            Activation.IDENTITY if raw else output.activation, output.Z.data, out,
            n * output.q,
        )


cdef inline Batch batch_of(Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """Rows of which no unit is dropped."""
    return Batch(start, n, 1, mask_of(0, 0, 0), StepScale(0, 0, 0, 1))


def loss_and_grad(
    Workspace workspace not None,
    Table table not None,
    const Py_ssize_t[::1] order,
    Py_ssize_t start,
    Py_ssize_t stop,
    double denominator,
    real[::1] grad=None,
    real[::1] dX=None,
    int thread=0,
    ThreadTeam team=None,
):
    """sum_i w_i l_i / denominator over rows start to stop; its gradient added to grad.

    No grad asks for the value alone; no dX for no dL/dX. Each thread of a team makes
    the same call with its number.
    """
    cdef Network* net = &workspace.net
    cdef Rows rows = table.in_order(order, start, stop)
    cdef Batch batch = batch_of(start, stop - start)
    cdef Thread me = checked_thread(team, thread)
    cdef real* gradient = NULL
    cdef double value = 0
    cdef unsigned int before
    workspace.check(table, batch.n, True)
    table.check_targets(workspace.topology)
    if grad is not None:
        check_aligned(grad)
        if grad.shape[0] != workspace.topology.n_parameters:
            raise ValueError(f"grad must have length {workspace.topology.n_parameters}")
        gradient = &grad[0]
    if dX is not None:
        check_aligned(dX)
        if not workspace.input_gradient:
            raise ValueError("the workspace is not for dL/dX")
        if grad is None or dX.shape[0] != batch.n * net.layers[1].p:
            raise ValueError(
                f"dX must have {batch.n * net.layers[1].p} elements, beside a grad"
            )
    if batch.n == 0:
        return 0.0
    batch.scale = 1 / denominator
    with nogil:
        before = flush()
        if join_team(me):
            pack_parameters(net, me)
            barrier(me)
            forward_backward(net, &rows, &batch, gradient != NULL, me)
            barrier(me)
            value = sum_all(net.losses, n_chunks(batch.n)) / denominator
            if gradient != NULL:
                gradients(net, &rows, &batch, me, True, gradient)
            if dX is not None:  # (B5), in the place of A_0
                barrier(me)
                inputs_gradient(
                    net, part_start(me, batch.n, ROW_CHUNK),
                    part_stop(me, batch.n, ROW_CHUNK), &dX[0], me,
                )
            barrier(me)
        restore(before)
    return value


def l2_and_grad(
    Topology t not None,
    const real[::1] theta,
    double alpha,
    double denominator,
    real[::1] grad,
):
    """alpha/2 sum_j ||W_j||^2 / denominator; grad is set to its gradient.  (R1)"""
    cdef Py_ssize_t i, start, stop
    cdef double value = 0, c = alpha / denominator
    check_aligned(theta)
    check_aligned(grad)
    if theta.shape[0] != t.n_parameters or grad.shape[0] != t.n_parameters:
        raise ValueError(f"theta and grad must have length {t.n_parameters}")
    grad[:] = 0
    for group in t.groups:
        if group.penalised and c != 0:
            start, stop = group.start, group.stop
            value += half_square(&theta[start], stop - start)
            for i in range(start, stop):
                grad[i] = <real> c * theta[i]
    return c * value


cdef Thread checked_thread(ThreadTeam team, int number) except *:
    cdef int count = 1 if team is None else team.n_threads
    if not 0 <= number < count:
        raise ValueError(f"thread {number} is not one of {count}")
    if count > 1 and not PANELS:
        raise ValueError("this level leaves threads to BLAS")
    return thread_of(team, number)
