# Types for the compiled form of watch.py. See lbproxy/compiled.py.

cdef int _BYTES, _HITS, _SEQUENCE


cdef class HeldEntry:
    cdef public Py_ssize_t body
    cdef public unsigned long long fingerprint
    cdef public Py_ssize_t name
    cdef public unsigned long long place
    cdef public unsigned long long position
    cdef public unsigned long long sequence
    cdef public Py_ssize_t slot
    cdef public Py_ssize_t tail
    cdef public Py_ssize_t uses


cdef class CacheWatch:
    cdef unsigned char[::1] _bytes
    cdef long long[::1] _counters
    cdef object _fence
    cdef object _memory
    cdef unsigned long long[::1] _words

    cpdef hold(self, bytes digest, entry)
    cpdef bint still(self, HeldEntry held) except -1
    cpdef body(self, HeldEntry held, Py_ssize_t size)
    cpdef passed(self, HeldEntry held)
    cpdef used(self, HeldEntry held, long long size)
