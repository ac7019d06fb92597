# Types for the compiled form of selection.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.source_hash cimport HashRing


cdef class Selection:
    cdef public list _able
    cdef long long[::1] _cells
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

    @cython.locals(weights=list, able=list, usable=list, ring=HashRing)
    cpdef long choose(self, health, orders, loads, tried, preference=*) except? -9
    @cython.locals(cells="long long[::1]", times=list, index=Py_ssize_t, at=Py_ssize_t, share=cython.longlong, weight=cython.longlong, warming=long, state=long)
    cdef list _warming_weights(self, health, list weights)
    @cython.locals(fit=list, tier=list)
    cdef list _usable(self, list able, health, weights, loads)


@cython.locals(up=long, warming=long, trial=long, state=long, index=Py_ssize_t, fit=list)
cdef list _fit(list tier, health, loads)
