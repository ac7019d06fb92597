# Types for the compiled form of tapped.py. See lbproxy/compiled.py.

cimport cython


cdef int _FIRST, _LAST

@cython.locals(request=bytes, answer=bytes, words=bytes, head=bytes)
cpdef bytes only_message(str name, object tapped)


cdef class Gathering:
    cdef list _parts
    cdef Py_ssize_t _size
    cdef readonly long long torn

    @cython.locals(flags=int, data=bytes)
    cpdef tuple take(self, bytes message)

@cython.locals(begin=Py_ssize_t, end=Py_ssize_t)
cdef tuple _read(bytes data)
