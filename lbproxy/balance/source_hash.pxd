# Types for the compiled form of source_hash.py. See lbproxy/compiled.py.

cimport cython


@cython.locals(index=Py_ssize_t, total=cython.longlong, weight=cython.longlong)
cpdef within_bound(ranking, usable, loads, weights)
