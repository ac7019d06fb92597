# Types for the compiled form of source_hash.py. See lbproxy/compiled.py.

cimport cython


cdef unsigned long long _FIRST
cdef unsigned long long _MASK
cdef unsigned long long _OWNER
cdef unsigned long long _SECOND
cdef unsigned long long _STRIDE

cpdef unsigned long long mix(unsigned long long number)
@cython.locals(points=list, point="unsigned long long", each="unsigned long long")
cpdef list points_of(unsigned long long seed, unsigned long long index)


cdef class Circle:
    cdef const unsigned long long[::1] points
    cdef double heaviest


cdef class HashRing:
    cdef list _circles
    cdef list _seeds
    cdef list _weights

    @cython.locals(
        most=cython.longlong, per=cython.longlong, total=cython.longlong, weight=cython.longlong, load=cython.longlong,
        own=cython.longlong, index=long, fit=bytearray
    )
    cpdef long within_bound(self, unsigned long long source, list usable, loads, weights) except? -9
    @cython.locals(
        best=double, score=double, heaviest=double, found=long, owner=long, circle=Circle, points="const unsigned long long[::1]",
        count=long, at=long, probe=long, step=long, place="unsigned long long", point="unsigned long long", far="unsigned long long"
    )
    cdef long _nearest(self, unsigned long long source, bytearray fit) except? -9
    @cython.locals(best=double, score=double, found=long, index=long)
    cdef long _highest(self, unsigned long long source, bytearray fit) except? -9


@cython.locals(low=long, high=long, middle=long)
cdef long _first_from(const unsigned long long[::1] points, long count, unsigned long long place) except? -9
