# Types for the compiled form of deciding_fields.py. See lbproxy/compiled.py.

cimport cython


@cython.locals(lengths=list, codings=list, connection=bytes, upgrade=bytes, expects=bytes, rounds=Py_ssize_t, name=bytes, raw=bytes)
cpdef tuple gather(list specials)
cpdef list options_of(bytes connection)
cpdef bint keeps_alive(list options, long minor)
