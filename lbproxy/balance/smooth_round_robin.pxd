# Types for the compiled form of smooth_round_robin.py. See lbproxy/compiled.py.

cimport cython


cdef long long _FAR


cdef class SmoothRoundRobin:
    cdef list _at
    cdef long long[::1] _cells

    @cython.locals(
        cells=cython.longlong[::1], places=list, total=cython.longlong, chosen=Py_ssize_t, most=cython.longlong, index=Py_ssize_t,
        weight=cython.longlong, at=Py_ssize_t, current=cython.longlong, far=cython.longlong
    )
    cpdef next(self, among, weights)
