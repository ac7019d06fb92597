# Types for the compiled form of shown_heads.py. See lbproxy/compiled.py.

cimport cython


cdef class ShownHeads:
    cdef object _blanked
    cdef bint _framed
    cdef public dict _known

    @cython.locals(found=bytes)
    cpdef bytes shown(self, bytes lines)
    cdef bytes _made(self, bytes lines)
