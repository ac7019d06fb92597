# Types for the compiled form of session.py. See lbproxy/compiled.py.

cdef class Session:
    cdef object _conn
    cdef public object broken
    cdef public bint closed
    cdef public long code
    cdef public long last
    cdef readonly bint whole

    cpdef receive(self, bytes data)
    cpdef tell(self, receiver)
    cpdef bytes output(self, long most)
    cpdef bint respond(self, long stream, fields, bint ended) except -1
    cpdef bint interim(self, long stream, fields) except -1
    cpdef bint send(self, long stream, bytes data, bint ended) except -1
    cpdef bint trailers(self, long stream, fields) except -1
    cpdef long request(self, fields, bint ended) except -1
    cpdef bint reset(self, long stream, long code) except -1
    cpdef bint taken(self, long stream, long size) except -1
    cpdef bint widen(self, long stream, long window) except -1
    cpdef bint ping(self) except -1
    cpdef bint announce_end(self) except -1
    cpdef bint refuse_more(self) except -1
    cpdef long held(self, long stream) except -1
    cpdef long room(self, long stream) except -2
    cpdef bint will_leave(self, long stream) except -1
    cpdef long long allows(self, int setting) except -1
    cpdef bint wants_write(self) except -1
    cpdef forget(self)
