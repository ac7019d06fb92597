# Types for the compiled form of connect.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.upstream cimport Upstream
from lbproxy.proxy.upstream_pool cimport Shared


@cython.locals(service=Service, shared=Shared, stream=Upstream, found=Upstream)
cpdef Upstream idle(Downstream downstream, Lease lease, RequestHead head, bint repeatable, double now)
cpdef Upstream dial(
    Service service, Destination destination, Lease lease, str pool, RequestHead head=*, Downstream downstream=*, object rewriting=*
)
cpdef Upstream _open(Service service, Destination destination, Lease lease, str pool, bint http_1)
