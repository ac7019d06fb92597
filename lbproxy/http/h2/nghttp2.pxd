# Types for nghttp2.pyx. See lbproxy/compiled.py.

from lbproxy.http.h2.session cimport Session

cpdef Session make_session(bint server, bounds, bint tunnels)
