# Types for the compiled form of response_head.py. See lbproxy/compiled.py.

cimport cython


cpdef bytes read_piece(stream, bytes data)
@cython.locals(searched=Py_ssize_t, end=Py_ssize_t)
cpdef tuple read_head(stream, bytes data)
