# Types for the compiled form of strands.py. See lbproxy/compiled.py.

cdef class GeventStrands:
    cdef object _hub
    cdef list _idle
    cdef Py_ssize_t _least
    cdef object _run_callback
    cdef bint _thins_out
    cdef object _timer
