# Types for the compiled form of backend_request.py. See lbproxy/compiled.py.

cimport cython


cdef class Laid:
    cdef readonly bytes accept
    cdef readonly tuple fields


cdef class BackendRequests:
    cdef public object _budget
    cdef dict _over_tls
    cdef dict _plain

    @cython.locals(known=dict, laid=Laid)
    cpdef Laid of(self, bytes head, bytes scheme)
