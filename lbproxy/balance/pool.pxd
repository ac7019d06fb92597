# Types for the compiled form of pool.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.board cimport Board, Lease
from lbproxy.balance.selection cimport Selection


cdef class Pool:
    cdef public Board _board
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
    cpdef pick(self, tried=*)
    cpdef pick_for(self, preference, tried=*)
    @cython.locals(index=long, lease=Lease)
    cdef long _take(self, tried, long rows) except? -9
    @cython.locals(seen=tuple)
    cpdef long _choose(self, tried, long rows) except? -9
