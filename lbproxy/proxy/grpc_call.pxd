# Types for the compiled form of grpc_call.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.grpc cimport answers, call_in, code_behind, code_in
from lbproxy.http.heads cimport KnownHead
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.proxy.service cimport Counters
from lbproxy.proxy.sink cimport Sink
from lbproxy.proxy.steps.step cimport Course


cdef class GrpcCall(Course):
    cdef bytes _kind
    cdef bint _open
    cdef public long code
    cdef public object timeout

    cpdef bint answered(self, ResponseHead answer) except -1
    cpdef ended(self, long status, Counters counters)
    cpdef str logged(self)


cdef class _Heard(Sink):
    cdef Sink _behind
    cdef GrpcCall _call

    cpdef interim(self, KnownHead known)
    cpdef whole(self, ResponseHead answer, bytes out, bytes body, bytes lines)
    cpdef begin(self, ResponseHead answer, bytes out, bytes lines, list first)
    cpdef Py_ssize_t room(self) except -1
    cpdef piece(self, bytes data)
    cpdef end(self, bytes data, tuple trailers)


@cython.locals(call=GrpcCall)
cpdef GrpcCall call_of(RequestHead head)
