# Types for the compiled form of tls_engine.py. See lbproxy/compiled.py.

cdef class TlsEngine:
    cdef public object _incoming
    cdef public object _outgoing
    cdef public object tls
    cdef public Py_ssize_t got
    cdef public bint again
    cdef public bint ended
    cdef public Py_ssize_t pushed
    cdef public bytes unsent

    cpdef put(self, bytes raw)
    cpdef bint shake(self) except -1
    cpdef bytes receive(self, int fd, Py_ssize_t limit)
    cpdef bytes decrypt(self)
    cpdef Py_ssize_t push(self, int fd, data, Py_ssize_t at, bint last=*) except -1
    cpdef Py_ssize_t owed(self) except -1
    cpdef bytes take(self)
    cpdef bytes goodbye(self)
