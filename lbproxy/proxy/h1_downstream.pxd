# Types for the compiled form of h1_downstream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport KnownHead
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.request_body cimport RequestBody


cdef int _AWAITED, _BEGUN
cdef int _INTERIM, _WHOLE, _BEGIN, _PIECE, _END, _BREAK


cdef class H1Downstream(Downstream):
    cdef bint _closes
    cdef bint _in_chunks
    cdef long long _length
    cdef int _minor
    cdef long long _owed
    cdef bint _special
    cdef long _stalls
    cdef bint _wordless
    cdef public bint keep
    cdef public bytes rest
    cdef public bint unread

    cpdef receive(self, RequestHead head, bytes rest)
    cpdef open_body(self, interrupt)
    cpdef interim(self, KnownHead known)
    cpdef whole(self, ResponseHead answer, bytes out, bytes body, bytes lines)
    cpdef begin(self, ResponseHead answer, bytes out, bytes lines, list first)
    cpdef Py_ssize_t room(self) except -1
    cpdef piece(self, bytes data)
    cpdef end(self, bytes data, tuple trailers)
    @cython.locals(body=RequestBody, minor=int)
    cdef bytes _laid_out(self, ResponseHead answer, bytes out, bytes lines)
    cdef bytes _coded(self, bytes payload)
    cdef _write(self, bytes data)
    cdef _write_last(self, bytes data)
    cdef bint _more_is_here(self) except -1
    @cython.locals(body=RequestBody)
    cpdef finished(self)
    cpdef bint lacks_nothing(self) except -1
    cpdef break_off(self)
    cpdef say_nothing(self)
