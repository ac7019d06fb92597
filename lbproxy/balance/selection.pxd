# Types for the compiled form of selection.py. See lbproxy/compiled.py.

cimport cython


cdef class Selection:
    cdef public list _able
    cdef public object _cells
    cdef public long _fail_open
    cdef public list _limits
    cdef public bint _limited
    cdef public object _policy
    cdef public list _reachable
    cdef public list _shares
    cdef public list _slots
    cdef public long _spared
    cdef public list _tiers
    cdef public list _weights
    cdef public object preference

    cpdef choose(self, health, orders, loads, tried)
    cdef list _usable(self, list able, health, weights, loads)


@cython.locals(up=long, warming=long, trial=long, state=long, index=Py_ssize_t, fit=list)
cdef list _fit(list tier, health, loads)
