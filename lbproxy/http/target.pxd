# Types for the compiled form of target.py. See lbproxy/compiled.py.

cimport cython


cdef int _DECODED
cdef int _KEPT
cdef int _NO_DIGIT
cdef int _REFUSED


@cython.locals(
    values=bytes, becomes=bytes, digits=bytes, size=Py_ssize_t, out=bytearray, end=Py_ssize_t, byte=cython.uchar, high=cython.uchar,
    low=cython.uchar, fate=int
)
cdef bytes _unescaped(bytes path, Py_ssize_t at)


@cython.locals(size=Py_ssize_t, out=bytearray, at=Py_ssize_t, end=Py_ssize_t, begin=Py_ssize_t, length=Py_ssize_t)
cdef bytes _without_dots(bytes path)
