# Types for the compiled form of exchange.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.grpc_call cimport GrpcCall, call_of
from lbproxy.proxy.request_body cimport RequestBody
from lbproxy.proxy.rewriter cimport Rewriter
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.stepwise cimport Stepwise


cdef class Exchange(Stepwise):
    cdef double _begun
    cdef bint _over
    cdef public double ended

    cpdef begin(self, Downstream downstream, RequestHead head, Py_ssize_t size, double begun, double parsed)
    @cython.locals(downstream=Downstream)
    cpdef run(self)
    @cython.locals(call=GrpcCall)
    cpdef look_for_call(self)
    @cython.locals(downstream=Downstream, head=RequestHead, destination=Destination, rewriter=Rewriter, body=RequestBody)
    cdef _route(self)
    @cython.locals(service=Service, downstream=Downstream, head=RequestHead)
    cdef _aside(self)
    @cython.locals(service=Service, downstream=Downstream, ended=double, waited=double, bytes_in=cython.longlong)
    cdef _log(self)
