# Types for the compiled form of engine.py. See lbproxy/compiled.py.

cdef class Engine:
    cdef object _conn
    cdef bytes _farewell
    cdef long _last
    cdef object _receiver
    cdef bint _whole
    cdef readonly object failure
    cdef readonly bint over

    cpdef receive(self, bytes data)
    cdef _tell(self)
    cpdef came(self, long stream)
    cpdef ended(self, long code)
    cpdef bytes output(self, long most)
    cpdef bint respond(self, long stream, fields, bint ended) except -1
    cpdef bint interim(self, long stream, fields) except -1
    cpdef bint send(self, long stream, bytes data, bint ended) except -1
    cpdef bint trailers(self, long stream, fields) except -1
    cpdef long request(self, fields, bint ended) except -1
    cpdef bint reset(self, long stream, long code) except -1
    cpdef bint taken(self, long stream, long size) except -1
    cpdef bint widen(self, long stream, long window) except -1
    cpdef end(self, failure)
    cpdef long held(self, long stream) except -1
    cpdef bint will_leave(self, long stream) except -1
