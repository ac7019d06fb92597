# Types for the compiled form of streams.py. See lbproxy/compiled.py.

cdef class Stream:
    cdef public double deadline
    cdef public bint half_closed
    cdef public object owner
    cdef public bint patient
    cdef public long stalls
    cdef public bint unread
    cdef public double write_stall
    cdef public long long wired

    cpdef bytes read(self, Py_ssize_t limit)
    cpdef bint ready(self) except -1
    cpdef write(self, data)
    cpdef write_both(self, bytes head, bytes data)
    cpdef await_room(self)
    cpdef write_last(self, data)
    cpdef give_way(self)
    cpdef bint has_turn(self, waiting) except -1
    cpdef bint read_early(self) except -1
    cpdef bint unseen(self, long long since) except -1
    cpdef end_output(self)
    cpdef close(self)
    cpdef finish(self, bint busy=*)
    cpdef abort(self)


cdef class Strands:
    cpdef current(self)
    cpdef start(self, run)
    cpdef later(self, run)
    cpdef park(self)
    cpdef alarm(self, double seconds, run)
    cpdef throw_later(self, strand, error)
