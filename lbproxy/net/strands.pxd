# Types for the compiled form of strands.py. See lbproxy/compiled.py.

cdef class GeventStrands:
    cdef object _hub
    cdef list _idle
    cdef object _run_callback
