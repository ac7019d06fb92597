# Types for the compiled form of pool.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.fast_pick cimport FastPick
from lbproxy.balance.lease cimport Lease
from lbproxy.balance.selection cimport Selection


cdef long _LOOK_CLOSER


cdef class Pool:
    cdef public FastPick _fast_pick
    cdef public object _cells
    cdef public long _child
    cdef public bint _everyday
    cdef public object _fail_open
    cdef public long _first
    cdef public bint _in_a_row
    cdef public long _last
    cdef public list _leases
    cdef public object _ledger
    cdef public object _lock
    cdef public dict _readers
    cdef public Selection _selection
    cdef public list _slots
    cdef public list _stretches
    cdef public tuple backends
    cdef public str name

    @cython.locals(rows=long, index=long)
    cpdef pick(self, tried=*, preference=*)
    @cython.locals(index=long, lease=Lease)
    cdef long _take(self, tried, preference, long rows) except? -9
    @cython.locals(seen=tuple)
    cpdef long _choose(self, tried, preference, long rows) except? -9
