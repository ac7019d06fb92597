# Types for the compiled form of endless.py. See lbproxy/compiled.py.

from lbproxy.http.message cimport ResponseHead


cpdef bint endless(ResponseHead answer) except -1
