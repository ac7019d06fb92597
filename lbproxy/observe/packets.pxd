# Types for the compiled form of packets.py. See lbproxy/compiled.py.

cimport cython


cdef class _Flow:
    cdef long _source
    cdef long _target
    cdef bytes _addresses
    cdef long _identity
    cdef long long _of_ip
    cdef long long _of_tcp
    cdef public long long number

    @cython.locals(number="long long", head=long, size=long, kind=long, total="long long", whole=long, identity=long, own=long)
    cpdef bytes packet(self, long flags, long long acknowledged, bytes data=*, bytes options=*)


cpdef long _sum(bytes data) except -1

@cython.locals(up=_Flow, down=_Flow, here=_Flow, there=_Flow, mss=long, count=long, at=long, size=long, data=bytes, last=bint)
cpdef list conversation(object client, object server, bytes request, bytes answer, object mtu=*)

@cython.locals(seconds="long long", micro=long, packet=bytes)
cpdef bytes records(list packets, double now)
