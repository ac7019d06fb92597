# Types for the compiled form of least_connections.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.smooth_round_robin cimport SmoothRoundRobin


cdef class LeastConnections:
    cdef public SmoothRoundRobin _smooth

    @cython.locals(best=list)
    cpdef choose(self, usable, loads, weights)


@cython.locals(
    best=list, best_load=cython.longlong, best_weight=cython.longlong, load=cython.longlong, weight=cython.longlong,
    difference=cython.longlong, index=Py_ssize_t
)
cpdef list least_loaded(usable, loads, weights)
