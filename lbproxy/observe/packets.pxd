# Types for the compiled form of packets.py. See lbproxy/compiled.py.

cimport cython


cdef int _FIN, _SYN, _PSH, _ACK
cdef long _WINDOW, _TCP, _WORDS
cdef long long _NUMBERS


cdef class _Flow:
    cdef bytearray _head
    cdef long _identity
    cdef long long _of_ip
    cdef long long _of_tcp
    cdef Py_ssize_t _tcp
    cdef public long long number

    @cython.locals(
        head=bytearray, at=Py_ssize_t, number="long long", length=long, size=long, kind=long, total="long long", whole=long,
        identity=long, own=long,
    )
    cpdef bytes packet(self, long flags, long long acknowledged, bytes data=*, bytes options=*)


@cython.locals(total=long)
cpdef long _sum(bytes data) except -1

@cython.locals(up=_Flow, down=_Flow, here=_Flow, there=_Flow, mss=long, count=long, at=long, size=long, data=bytes, last=bint)
cpdef list conversation(object client, object server, bytes request, bytes answer, object mtu=*)

@cython.locals(seconds="long long", micro=long, packet=bytes, size=long, head=bytearray, found=list)
cpdef bytes records(list packets, double now)
