# Types for the compiled form of connect.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.proxy.destination cimport Destination
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.upstream cimport Upstream


@cython.locals(service=Service)
cpdef Upstream idle(Downstream downstream, Lease lease, bint repeatable, double now)
cpdef Upstream dial(Service service, Destination destination, Lease lease, str pool)
