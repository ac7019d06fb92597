# Types for the compiled form of strands.py. See lbproxy/compiled.py.

from lbproxy.streams cimport Strands


cdef class GeventStrands(Strands):
    cdef object _hub
    cdef list _idle
    cdef Py_ssize_t _least
    cdef object _run_callback
    cdef bint _thins_out
    cdef object _timer

    cpdef current(self)
    cpdef start(self, run)
    cpdef later(self, run)
    cpdef park(self)
    cpdef alarm(self, double seconds, run)
    cpdef throw_later(self, strand, error)
