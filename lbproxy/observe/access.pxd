# Types for the compiled form of access.py. See lbproxy/compiled.py.

cimport cython


cdef class AccessLog:
    cdef public dict _hosts
    cdef public list _lines
    cdef public double _offset
    cdef public str _prefix
    cdef public long _second
    cdef public object _stamp

    cpdef str describe(self, str client, bytes method, bytes host, bytes path)

    @cython.locals(now=double, second=long, answer=long, total=long)
    cpdef record(
        self, str about, long status, str reason, long long bytes_in, long long bytes_out, str backend, long tries, double tls,
        double begun, double parsed, double leased, double answered, double ended
    )


@cython.locals(tenths=long)
cdef str _tenths(double seconds)
