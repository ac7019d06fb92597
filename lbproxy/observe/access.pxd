# Types for the compiled form of access.py. See lbproxy/compiled.py.

cimport cython

cdef list _MILLISECONDS
cdef list _NUMBERS
cdef list _STATUSES
cdef list _TENTHS


cdef class AccessLog:
    cdef public dict _everyday
    cdef public dict _hosts
    cdef public list _lines
    cdef public double _offset
    cdef public object _on_full
    cdef public str _prefix
    cdef public long _second
    cdef public Py_ssize_t _size
    cdef public object _stamp

    cpdef str describe(self, str client, bytes method, bytes host, bytes path, str protocol)

    @cython.locals(now=double, second=long, millisecond=long, middle=str, line=str)
    cpdef record(
        self, str about, long status, str reason, long long bytes_in, long long bytes_out, str backend, long tries, double tls,
        double begun, double parsed, double leased, double answered, double ended
    )


cdef str _digits(long long number)
@cython.locals(tenths=cython.longlong)
cdef str _tenths(double seconds)
