# Types for the compiled form of retry_budget.py. See lbproxy/compiled.py.

from lbproxy.balance.pool cimport Pool
from lbproxy.http.message cimport RequestHead


cdef class RetryBudgets:
    cdef object _cells
    cdef object _chance
    cdef long _child
    cdef set _keyed
    cdef object _lock
    cdef dict _pools
    cdef object _sleep

    cpdef bint repeatable(self, Pool pool, RequestHead head) except -1
    cpdef bytes method(self, Pool pool, RequestHead head)
