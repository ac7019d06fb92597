# Types for the compiled form of session.py. See lbproxy/compiled.py.

cdef class Receiver:
    cpdef on_request(self, long stream, tuple fields, bint ended)
    cpdef on_given_up(self, long stream, tuple fields)
    cpdef on_interim(self, long stream, tuple fields)
    cpdef on_response(self, long stream, tuple fields, bint ended)
    cpdef on_data(self, long stream, bytes data, bint ended)
    cpdef on_trailers(self, long stream, tuple fields)
    cpdef on_reset(self, long stream, long code)
    cpdef on_overlong(self, long stream)
    cpdef on_closed(self, long stream, long code)
    cpdef on_settings(self)
    cpdef on_ping(self)
    cpdef on_pong(self)
    cpdef on_window(self, long stream, long increment)
    cpdef on_priority(self, long stream)
    cpdef on_needless(self)
    cpdef on_goaway(self, long last, long code)


cdef class Session:
    cdef object _conn
    cdef public object broken
    cdef public bint closed
    cdef public long code
    cdef public long last
    cdef public long overlong
    cdef readonly bint unsaid
    cdef readonly bint whole

    cpdef receive(self, bytes data)
    cpdef tell(self, Receiver receiver)
    cpdef bytes output(self, long most)
    cpdef bint respond(self, long stream, fields, bint ended) except -1
    cpdef bint interim(self, long stream, fields) except -1
    cpdef bint send(self, long stream, bytes data, bint ended) except -1
    cpdef bint trailers(self, long stream, fields) except -1
    cpdef long request(self, fields, bint ended) except -1
    cpdef bint reset(self, long stream, long code) except -1
    cpdef bint taken(self, long stream, long size, long long rest) except -1
    cpdef bint widen(self, long stream, long window) except -1
    cpdef bint ping(self) except -1
    cpdef bint announce_end(self) except -1
    cpdef bint refuse_more(self) except -1
    cpdef long held(self, long stream) except -1
    cpdef long window(self, long stream) except -1
    cpdef long precedence(self, long stream) except -1
    cpdef bint will_leave(self, long stream) except -1
    cpdef long long allows(self, int setting) except -1
    cpdef bint wants_write(self) except -1
    cpdef forget(self)
