# Types for the compiled form of tap_link.py. See lbproxy/compiled.py.

cimport cython


cdef class TapLink:
    cdef object _socket
    cdef object _lost
    cdef object _alarm
    cdef public object _thread
    cdef public list _collected
    cdef Py_ssize_t _size
    cdef object _due

    @cython.locals(size=Py_ssize_t, message=bytes)
    cpdef bint take(self, str name, object tapped) except -1
    cpdef flush(self)
