# Types for the compiled form of accept_balance.py. See lbproxy/compiled.py.

cimport cython


cdef long long _MOST


cdef class AcceptBalance:
    cdef long _accepting
    cdef long long[::1] _cells
    cdef long _connections
    cdef object _ledger
    cdef long long _limit
    cdef long _live
    cdef long _mine
    cdef long long _most_streams
    cdef long _row
    cdef object _streams

    @cython.locals(
        cells="long long[::1]", child=long, count=cython.longlong, most=cython.longlong, rows=long, mine=cython.longlong, row=long, total=cython.longlong, workers=long
    )
    cpdef room(self)
    @cython.locals(cells="long long[::1]")
    cpdef bint scarce(self) except -1
