# Types for the compiled form of backend_stream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.backend_answer cimport LastAnswer
from lbproxy.proxy.h2.stream cimport Carrier, H2Stream
from lbproxy.streams cimport Strands


cdef class BackendStream


cdef class Lender(Carrier):
    cdef public LastAnswer answers
    cdef public bint carries_websockets

    cpdef begin(self, BackendStream stream, long number, bint ended)
    cpdef left(self, BackendStream stream)
    cpdef linger(self, BackendStream stream)


cdef class BackendStream(H2Stream):
    cdef list _heads
    cdef long _heads_size
    cdef Lender _lender
    cdef public long long begun_at
    cdef public object failure
    cdef public bint has_answer
    cdef public bint returned
    cdef public bint untouched

    cpdef borrow(self, Lender lender)
    cpdef bint bring_head(self, tuple fields, bint ended, bint final) except -1
    cpdef fail(self, failure, bint untouched=*)
    cpdef wake(self)
    cpdef expire(self, double now)
    cpdef tuple next_head(self)
    cpdef bytes read(self, Py_ssize_t limit)
    @cython.locals(data=bytes)
    cdef bytes _take(self, Py_ssize_t limit)
    cdef _wait_for_input(self)
    cpdef begun(self, long number, bint ended, long long at)
    cpdef finish(self, bint busy=*)
    cpdef abort(self)
    cpdef bint unseen(self, long long since) except -1
