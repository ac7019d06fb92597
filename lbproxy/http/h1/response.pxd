# Types for the compiled form of response.py. See lbproxy/compiled.py.

from lbproxy.http.h1.deciding_fields cimport gather, keeps_alive, options_of
from lbproxy.http.message cimport ResponseHead


cdef ResponseHead _by_all_fields(
    long minor, long status, bytes reason, bint to_head, bytes block, bytes lowered, list specials, bint undated
)
