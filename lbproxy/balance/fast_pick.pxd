# Types for the compiled form of fast_pick.py. See lbproxy/compiled.py.

cimport cython


cdef long _CHILDREN_HIGH
cdef long _UP
cdef long _RETIRED
cdef long long _MOST
cdef long _LOOK_CLOSER


cdef class FastPick:
    cdef long long[::1] _cells
    cdef long[::1] _health
    cdef long[::1] _in_flight
    cdef long[::1] _orders
    cdef long _rotor
    cdef long _row

    @cython.locals(at=long, rows=cython.longlong)
    cpdef long rows(self)

    @cython.locals(
        row=long, at=long, load=cython.longlong, count=cython.longlong, most=cython.longlong, child=long, loads=list, health=list, orders=list, cells="long long[::1]"
    )
    cpdef tuple look(self, long rows)

    @cython.locals(
        row=long, at=long, up=cython.longlong, turn=cython.longlong, first=long, after=long, fewest=cython.longlong, equals=long, index=long,
        load=cython.longlong, count=cython.longlong, most=cython.longlong, child=long, chosen=long, cells="long long[::1]", in_flight="long[::1]"
    )
    cpdef long least(self, long rows)
