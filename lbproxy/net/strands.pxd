# Types for the compiled form of strands.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.streams cimport Strands

cdef class GeventStrands(Strands)


cdef class _Runner:
    cdef GeventStrands _strands
    cdef readonly object strand
    cdef readonly object task

    cpdef serve(self)


cdef class GeventStrands(Strands):
    cdef object _hub
    cdef list _idle
    cdef Py_ssize_t _least
    cdef object _run_callback
    cdef dict _runners
    cdef bint _thins_out
    cdef object _timer

    cpdef current(self)
    @cython.locals(runner=_Runner)
    cpdef start(self, run)
    cpdef bint rests(self, _Runner runner)
    cpdef has_ended(self, _Runner runner)
    cpdef later(self, run)
    cpdef park(self)
    cpdef alarm(self, double seconds, run)
    @cython.locals(runner=_Runner)
    cpdef throw_later(self, strand, error)
