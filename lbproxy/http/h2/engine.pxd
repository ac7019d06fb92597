# Types for the compiled form of engine.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.nghttp2 cimport make_session
from lbproxy.http.h2.session cimport Receiver, Session


cdef class H2Engine:
    cdef bytes _farewell
    cdef Receiver _receiver
    cdef Session _session
    cdef readonly object failure
    cdef readonly bint over

    cpdef receive(self, bytes data)
    @cython.locals(session=Session, stream=long)
    cdef _tell(self)
    cpdef bint unsure(self) except -1
    cpdef forget(self)
    @cython.locals(data=bytes)
    cpdef bytes output(self, long most)
    cpdef bint respond(self, long stream, fields, bint ended) except -1
    cpdef bint interim(self, long stream, fields) except -1
    cpdef bint send(self, long stream, bytes data, bint ended) except -1
    cpdef bint trailers(self, long stream, fields) except -1
    cpdef long request(self, fields, bint ended) except -1
    cpdef bint reset(self, long stream, long code) except -1
    cpdef bint taken(self, long stream, long size, long long rest=*) except -1
    cpdef bint widen(self, long stream, long window) except -1
    @cython.locals(session=Session)
    cpdef end(self, failure)
    cpdef long held(self, long stream) except -1
    cpdef long held_by_all(self) except -1
    cpdef bint has_last_words(self) except -1
    cpdef bint has_output(self) except -1
    cpdef bint rests(self) except -1
    cpdef long window(self, long stream) except -1
    cpdef long precedence(self, long stream) except -1
    cpdef bint will_leave(self, long stream) except -1
