# Types for the compiled form of h2_downstream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.engine cimport H2Engine
from lbproxy.http.h2.request_fields cimport RequestFields
from lbproxy.http.h2.response_fields cimport ResponseFields, regular
from lbproxy.http.heads cimport KnownHead
from lbproxy.http.message cimport RequestHead, ResponseHead
from lbproxy.http.trailers cimport size
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.exchange cimport Exchange
from lbproxy.proxy.h2.stream cimport Carrier, H2Stream, share_of
from lbproxy.proxy.request_body cimport BodySource


cdef int _BEGUN
cdef int _INTERIM, _WHOLE, _BEGIN, _PIECE, _END, _BREAK


cdef class H2Downstream


cdef class H2Peer(Downstream):
    cpdef str protocol(self, RequestHead head)


cdef class Bearer(Carrier):
    cdef public H2Peer client
    cdef public object key
    cdef public long promised
    cdef public RequestFields request_fields
    cdef public ResponseFields response_fields

    cpdef refused(self, error)
    cpdef never_began(self, error, tuple fields, double came)
    cpdef served(self, H2Downstream request)


cdef class H2Body(BodySource):
    cdef H2Stream _h2

    cpdef bytes take(self, bytes raw)


cdef class H2Downstream(Downstream):
    cdef Bearer _bearer
    cdef double _came
    cdef H2Engine _engine
    cdef tuple _fields
    cdef RequestHead _head
    cdef bint _over
    cdef ResponseFields _response_fields
    cdef long _promised
    cdef long _stalls
    cdef long _wanted
    cdef readonly H2Stream h2

    @cython.locals(h2=H2Stream, client=H2Peer)
    cpdef receive(self, Bearer bearer, long number, tuple fields, bint ended, double came)
    cpdef lose(self, error)
    cpdef pass_over(self)
    cdef _never_begins(self, error)
    cpdef cut(self)
    @cython.locals(h2=H2Stream, fields=tuple, head=RequestHead, size=Py_ssize_t, exchange=Exchange, bearer=Bearer, client=H2Peer)
    cdef _serve(self)
    cdef _refuse(self, error, tuple fields)
    cpdef open_body(self, interrupt)
    cpdef interim(self, KnownHead known)
    cpdef whole(self, ResponseHead answer, bytes out, bytes body, bytes lines)
    cpdef begin(self, ResponseHead answer, bytes out, bytes lines, list first)
    cdef _begin(self, ResponseHead answer, bytes out, bytes lines, bint ended)
    cdef _check_login(self, ResponseHead answer)
    cdef _respond(self, tuple fields, bint ended)
    @cython.locals(h2=H2Stream, bearer=Bearer, wanted=long, size=long)
    cpdef Py_ssize_t room(self) except -1
    cdef _keep_promise(self)
    cpdef piece(self, bytes data)
    cpdef end(self, bytes data, tuple trailers)
    cpdef own(self, answer, bytes extra)
    cpdef bint opens(self, long status) except -1
    cpdef finished(self)
    cpdef say_nothing(self)
    cpdef break_off(self)
    cpdef bint break_off_with(self, tuple trailers) except -1
    cpdef str about(self, RequestHead head)
