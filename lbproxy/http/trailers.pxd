# Types for the compiled form of trailers.py. See lbproxy/compiled.py.

cimport cython


@cython.locals(size=Py_ssize_t, name=bytes, value=bytes)
cpdef Py_ssize_t size(tuple fields) except -1
cpdef tuple passing(tuple fields)
