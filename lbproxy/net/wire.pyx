"""wire.py in C's terms: system calls on bare descriptors, and TLS by the very OpenSSL that Python's `ssl` uses.

Theory of operation. Sessions are made by `ssl`, with all that its contexts say: certificates, SNI, verification, tickets. What it
does with records afterwards costs more than OpenSSL itself: it gives up the interpreter lock, allocates the largest record for each
read, copies through two memory buffers that never shrink, and finds each of its own methods by name. So once a session is made this
engine calls OpenSSL for the rest, and gives it a BIO of its own:

- Input is read into one buffer of the process (`_input`). OpenSSL takes from there what it can use until nothing is left: it keeps
  half a record itself. Output is collected in another (`_output`) and leaves from there. Nobody switches greenlets in between, and
  only one thread has streams, so two buffers serve all connections, and an idle one holds nothing but OpenSSL's own state.
- The functions are looked up in the library that `ssl` has loaded already. There is nothing to link, and never a second OpenSSL.
- The session's `SSL *` is read out of the object that `ssl` made. It has been the second pointer of that object from Python 3.6 on;
  OpenSSL itself is asked whether it is (`_session_of`: `ssl` has noted its object there). Where any of this is not as expected,
  connections get tls_engine.py's TlsEngine.
"""

import os
import ssl
import _socket
import _ssl

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, EINVAL, ENOSYS, EOPNOTSUPP, errno
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memset

from lbproxy.net.tls_engine import AT_ONCE as _AT_ONCE, RECORD as _RECORD, session

from lbproxy.net.tls_engine cimport TlsEngine

from lbproxy.streams import LOCAL

NATIVE = True

cdef Py_ssize_t RECORD = _RECORD
cdef Py_ssize_t AT_ONCE = _AT_ONCE

cdef enum:
    INPUT = 132 * 1024  # most that is read at once: SWIFT_READ and its OVERHEAD
    SHARED = 64 * 1024  # LEAST; a larger read goes into the bytes themselves, a copy of which would cost more than making them
    SMALL = 17 * 1024  # of what comes with so much plaintext is copied; larger ones are decrypted into the bytes themselves
    PLAIN = SMALL + 17 * 1024  # what may come of a small read: half a record may wait inside OpenSSL
    KEPT = 256 * 1024  # a larger output buffer is given back

LEAST = SHARED

cdef char[INPUT] _input
cdef char[PLAIN] _plain
cdef char *_output = NULL
cdef Py_ssize_t _output_size = 0
cdef Py_ssize_t _output_used = 0
cdef const char *_source = NULL
cdef Py_ssize_t _source_left = 0

cdef extern from "sys/socket.h" nogil:
    ssize_t c_recv "recv"(int, void *, size_t, int)
    ssize_t c_send "send"(int, const void *, size_t, int)
    ctypedef struct iovec "struct iovec":
        void *iov_base
        size_t iov_len
    ctypedef struct msghdr "struct msghdr":
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t c_sendmsg "sendmsg"(int, const msghdr *, int)
    int MSG_NOSIGNAL
    ctypedef unsigned int socklen_t
    ctypedef struct sockaddr "struct sockaddr":
        pass
    int accept4(int, sockaddr *, socklen_t *, int)
    int c_connect "connect"(int, const sockaddr *, socklen_t)
    ctypedef struct sockaddr_storage "struct sockaddr_storage":
        unsigned short ss_family
    int AF_INET6, AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC

cdef extern from "arpa/inet.h" nogil:
    ctypedef struct sockaddr_in "struct sockaddr_in":
        int sin_addr
    ctypedef struct sockaddr_in6 "struct sockaddr_in6":
        int sin6_addr
    const char *inet_ntop(int, const void *, char *, unsigned int)
    enum:
        INET6_ADDRSTRLEN

cdef extern from *:
    """
    #include <errno.h>
    #include <sys/uio.h>
    static Py_ssize_t lbproxy_read_now(int fd, void *into, size_t size, long long at) {
    #ifdef RWF_NOWAIT
        struct iovec one = {into, size};
        return preadv2(fd, &one, 1, at, RWF_NOWAIT);
    #else
        errno = ENOSYS;
        return -1;
    #endif
    }
    """
    Py_ssize_t lbproxy_read_now(int, void *, size_t, long long) nogil

cdef extern from "sys/ioctl.h" nogil:
    int ioctl(int, unsigned long, ...)

cdef extern from "linux/sockios.h" nogil:
    enum:
        SIOCOUTQNSD

cdef extern from "time.h" nogil:
    ctypedef struct timespec "struct timespec":
        long tv_sec
        long tv_nsec
    int clock_gettime(int, timespec *)
    int CLOCK_MONOTONIC

cdef extern from "dlfcn.h" nogil:
    void *dlopen(const char *, int)
    void *dlsym(void *, const char *)
    int RTLD_NOW, RTLD_NOLOAD

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    int _PyBytes_Resize(PyObject **, Py_ssize_t) except -1
    char *bytes_at "PyBytes_AS_STRING"(PyObject *)
    void Py_DECREF "Py_DECREF"(PyObject *)


# ---------------------------------------------------------------- bare descriptors


cdef bint _interrupted() except -1:
    """After a call that failed: whether it is to be made again; False: it would have to wait. Raises OSError."""
    if errno == EAGAIN:
        return False
    if errno != EINTR:
        PyErr_SetFromErrno(OSError)
    return True


cdef inline Py_ssize_t _recv(int fd, char *into, Py_ssize_t limit) except -2:
    """-1: nothing has come."""
    cdef Py_ssize_t got
    while True:
        got = c_recv(fd, into, limit, 0)
        if got >= 0:
            return got
        if not _interrupted():
            return -1


cdef inline Py_ssize_t _send(int fd, const char *data, Py_ssize_t size) except -1:
    cdef Py_ssize_t sent
    while True:
        sent = c_send(fd, data, size, MSG_NOSIGNAL)
        if sent >= 0:
            return sent
        if not _interrupted():
            return 0


cpdef bytes receive(int fd, Py_ssize_t limit):
    """See wire.py."""
    cdef Py_ssize_t got
    cdef PyObject *large
    if limit <= SHARED:
        got = _recv(fd, _input, limit)
        return None if got < 0 else PyBytes_FromStringAndSize(_input, got)
    large = new_bytes(NULL, limit)
    try:
        got = _recv(fd, bytes_at(large), limit)
        _PyBytes_Resize(&large, got if got > 0 else 0)
        return None if got < 0 else <bytes>large
    finally:
        if large != NULL:
            Py_DECREF(large)


cpdef Py_ssize_t send(int fd, data) except -1:
    """See wire.py."""
    cdef Py_buffer view
    if PyBytes_CheckExact(data):
        return _send(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return _send(fd, <const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send_both(int fd, bytes head, bytes data) except -1:
    """See wire.py."""
    cdef iovec[2] pieces
    cdef msghdr message
    cdef Py_ssize_t sent
    pieces[0].iov_base, pieces[0].iov_len = PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head)
    pieces[1].iov_base, pieces[1].iov_len = PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    memset(&message, 0, sizeof(message))
    message.msg_iov, message.msg_iovlen = pieces, 2
    while True:
        sent = c_sendmsg(fd, &message, MSG_NOSIGNAL)
        if sent >= 0:
            return sent
        if not _interrupted():
            return 0


cpdef bytes read_now(int fd, Py_ssize_t size, long long at):
    """See wire.py."""
    made = PyBytes_FromStringAndSize(NULL, size)
    cdef Py_ssize_t got = lbproxy_read_now(fd, PyBytes_AS_STRING(made), size, at)
    if got < 0 and errno not in (EAGAIN, EOPNOTSUPP, EINVAL, ENOSYS):
        PyErr_SetFromErrno(OSError)
    return made if got == size else None


cpdef Py_ssize_t unsent(int fd) except -1:
    """See wire.py."""
    cdef int told = 0
    return told if ioctl(fd, SIOCOUTQNSD, &told) == 0 else 0


cpdef reset(int fd):
    """See wire.py."""
    cdef sockaddr_storage nowhere
    memset(&nowhere, 0, sizeof(nowhere))  # AF_UNSPEC
    c_connect(fd, <sockaddr *>&nowhere, 16)


cpdef double monotonic():
    """See wire.py."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cpdef tuple accept(listening):
    """See wire.py."""
    cdef sockaddr_storage address
    cdef socklen_t size
    cdef char[INET6_ADDRSTRLEN] text
    cdef const void *number
    cdef int fd
    while True:
        size = sizeof(address)
        fd = accept4(listening.fileno(), <sockaddr *>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            break
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
    if address.ss_family == AF_UNIX:
        return _socket.socket(AF_UNIX, SOCK_STREAM, 0, fd), LOCAL
    if address.ss_family == AF_INET6:
        number = &(<sockaddr_in6 *>&address).sin6_addr
    else:
        number = &(<sockaddr_in *>&address).sin_addr
    if inet_ntop(address.ss_family, number, text, INET6_ADDRSTRLEN) == NULL:
        text[0] = 0
    # The plain type under socket.socket, which only passes calls on: another object for each idle connection.
    return _socket.socket(address.ss_family, SOCK_STREAM, 0, fd), (<bytes>text).decode("ascii")


# ---------------------------------------------------------------- OpenSSL's functions

cdef enum:
    WANT_READ = 2  # SSL_ERROR_WANT_READ
    ZERO_RETURN = 6  # SSL_ERROR_ZERO_RETURN
    SOURCE_SINK = 0x0400  # BIO_TYPE_SOURCE_SINK
    CTRL_FLUSH = 11  # BIO_CTRL_FLUSH
    SHOULD_READ_AGAIN = 0x01 | 0x08  # BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY
    APPLICATION = 0  # the index of SSL_get_app_data

ctypedef int (*ssl_read_t)(void *, void *, int) noexcept nogil
ctypedef int (*ssl_write_t)(void *, const void *, int) noexcept nogil
ctypedef int (*ssl_step_t)(void *) noexcept nogil
ctypedef int (*ssl_get_error_t)(const void *, int) noexcept nogil
ctypedef long (*ssl_get_number_t)(const void *) noexcept nogil
ctypedef void (*ssl_set_bio_t)(void *, void *, void *) noexcept nogil
ctypedef void *(*ssl_get_ex_data_t)(const void *, int) noexcept nogil
ctypedef int (*bio_get_new_index_t)() noexcept nogil
ctypedef void *(*bio_meth_new_t)(int, const char *) noexcept nogil
ctypedef int (*bio_meth_set_t)(void *, void *) noexcept nogil
ctypedef void *(*bio_new_t)(void *) noexcept nogil
ctypedef void (*bio_set_t)(void *, int) noexcept nogil
ctypedef unsigned long (*err_peek_t)() noexcept nogil
ctypedef void (*err_clear_t)() noexcept nogil
ctypedef const char *(*err_string_t)(unsigned long) noexcept nogil

cdef ssl_read_t SSL_read
cdef ssl_write_t SSL_write
cdef ssl_step_t SSL_do_handshake
cdef ssl_step_t SSL_shutdown
cdef ssl_get_error_t SSL_get_error
cdef ssl_get_number_t SSL_get_verify_result
cdef ssl_set_bio_t SSL_set_bio
cdef ssl_get_ex_data_t SSL_get_ex_data
cdef bio_new_t BIO_new
cdef bio_set_t BIO_set_init
cdef bio_set_t BIO_set_flags
cdef err_peek_t ERR_peek_error
cdef err_peek_t ERR_peek_last_error
cdef err_clear_t ERR_clear_error
cdef err_string_t ERR_reason_error_string
cdef void *_method = NULL


cdef void *_find(void *library, bytes name) except NULL:
    cdef void *found = dlsym(library, name)
    if found == NULL:
        raise LookupError(name)
    return found


cdef int _load() except -1:
    """Find everything in the library that `_ssl` is linked with. Raises LookupError, AttributeError (no file: built in)."""
    global SSL_read, SSL_write, SSL_do_handshake, SSL_shutdown, SSL_get_error, SSL_set_bio, SSL_get_ex_data, BIO_new, BIO_set_init
    global BIO_set_flags, ERR_peek_error, ERR_peek_last_error, ERR_clear_error, ERR_reason_error_string, _method
    global SSL_get_verify_result
    cdef void *library = dlopen(os.fsencode(_ssl.__file__), RTLD_NOW | RTLD_NOLOAD)
    if library == NULL:
        raise LookupError(_ssl.__file__)
    SSL_read = <ssl_read_t>_find(library, b"SSL_read")
    SSL_write = <ssl_write_t>_find(library, b"SSL_write")
    SSL_do_handshake = <ssl_step_t>_find(library, b"SSL_do_handshake")
    SSL_shutdown = <ssl_step_t>_find(library, b"SSL_shutdown")
    SSL_get_error = <ssl_get_error_t>_find(library, b"SSL_get_error")
    SSL_get_verify_result = <ssl_get_number_t>_find(library, b"SSL_get_verify_result")
    SSL_set_bio = <ssl_set_bio_t>_find(library, b"SSL_set_bio")
    SSL_get_ex_data = <ssl_get_ex_data_t>_find(library, b"SSL_get_ex_data")
    BIO_new = <bio_new_t>_find(library, b"BIO_new")
    BIO_set_init = <bio_set_t>_find(library, b"BIO_set_init")
    BIO_set_flags = <bio_set_t>_find(library, b"BIO_set_flags")
    ERR_peek_error = <err_peek_t>_find(library, b"ERR_peek_error")
    ERR_peek_last_error = <err_peek_t>_find(library, b"ERR_peek_last_error")
    ERR_clear_error = <err_clear_t>_find(library, b"ERR_clear_error")
    ERR_reason_error_string = <err_string_t>_find(library, b"ERR_reason_error_string")
    cdef int kind = (<bio_get_new_index_t>_find(library, b"BIO_get_new_index"))() | SOURCE_SINK
    cdef void *method = (<bio_meth_new_t>_find(library, b"BIO_meth_new"))(kind, b"lbproxy")
    (<bio_meth_set_t>_find(library, b"BIO_meth_set_read"))(method, <void *>_bio_read)
    (<bio_meth_set_t>_find(library, b"BIO_meth_set_write"))(method, <void *>_bio_write)
    (<bio_meth_set_t>_find(library, b"BIO_meth_set_ctrl"))(method, <void *>_bio_ctrl)
    _method = method
    return 0


cdef int _bio_read(void *bio, char *into, int size) noexcept nogil:
    """From `_source`. The flags that a BIO is made with say what is meant by -1: that more will come."""
    global _source, _source_left
    if _source_left == 0:
        return -1
    if size > _source_left:
        size = <int>_source_left
    memcpy(into, _source, size)
    _source += size
    _source_left -= size
    return size


cdef int _bio_write(void *bio, const char *data, int size) noexcept nogil:
    """To `_output`."""
    global _output_used
    if _output_used + size > _output_size and not _grow(size):
        return -1
    memcpy(_output + _output_used, data, size)
    _output_used += size
    return size


cdef long _bio_ctrl(void *bio, int command, long number, void *pointer) noexcept nogil:
    """There is nothing to flush, and that is done."""
    return command == CTRL_FLUSH


cdef bint _grow(Py_ssize_t size) noexcept nogil:
    global _output, _output_size
    cdef Py_ssize_t wanted = 2 * (_output_used + size)
    cdef char *larger = <char *>realloc(_output, wanted)
    if larger == NULL:
        return False
    _output = larger
    _output_size = wanted
    return True


# ---------------------------------------------------------------- keys of session tickets

cdef enum:
    SLOTS = 8
    MOST_KEYS = 8
    KEY = 80  # name 16, key of the MAC 32, key of the cipher 32
    TICKET_NAME = 16
    OCTETS = 5  # OSSL_PARAM_OCTET_STRING
    UTF8 = 4  # OSSL_PARAM_UTF8_STRING
    TLS_1_3 = 0x0304

cdef struct Parameter:  # OSSL_PARAM of openssl/core.h
    const char *key
    unsigned int kind
    const void *data
    size_t size
    size_t returned

ctypedef int (*evp_init_t)(void *, const void *, void *, const unsigned char *, const unsigned char *) noexcept nogil
ctypedef int (*evp_mac_set_t)(void *, const Parameter *) noexcept nogil
ctypedef const void *(*evp_cipher_t)() noexcept nogil
ctypedef int (*ssl_version_t)(const void *) noexcept nogil
ctypedef int (*rand_bytes_t)(unsigned char *, int) noexcept nogil
ctypedef int (*ticket_cb_t)(void *, unsigned char *, unsigned char *, void *, void *, int) noexcept nogil

cdef evp_init_t EVP_EncryptInit_ex = NULL
cdef evp_init_t EVP_DecryptInit_ex
cdef evp_mac_set_t EVP_MAC_CTX_set_params
cdef evp_cipher_t EVP_aes_256_cbc
cdef rand_bytes_t RAND_bytes
cdef ssl_version_t SSL_version
cdef unsigned char[SLOTS][MOST_KEYS * KEY] _ticket_keys
cdef int[SLOTS] _ticket_count
cdef ticket_cb_t[SLOTS] _ticket_callbacks


cdef int _load_tickets() except -1:
    """Raises LookupError: OpenSSL is older than 3.0."""
    global EVP_EncryptInit_ex, EVP_DecryptInit_ex, EVP_MAC_CTX_set_params, EVP_aes_256_cbc, RAND_bytes, SSL_version
    if EVP_EncryptInit_ex != NULL:
        return 0
    cdef void *library = dlopen(os.fsencode(_ssl.__file__), RTLD_NOW | RTLD_NOLOAD)
    if library == NULL:
        raise LookupError(_ssl.__file__)
    EVP_DecryptInit_ex = <evp_init_t>_find(library, b"EVP_DecryptInit_ex")
    EVP_MAC_CTX_set_params = <evp_mac_set_t>_find(library, b"EVP_MAC_CTX_set_params")
    EVP_aes_256_cbc = <evp_cipher_t>_find(library, b"EVP_aes_256_cbc")
    RAND_bytes = <rand_bytes_t>_find(library, b"RAND_bytes")
    SSL_version = <ssl_version_t>_find(library, b"SSL_version")
    EVP_EncryptInit_ex = <evp_init_t>_find(library, b"EVP_EncryptInit_ex")
    _ticket_callbacks[0], _ticket_callbacks[1], _ticket_callbacks[2], _ticket_callbacks[3] = _slot0, _slot1, _slot2, _slot3
    _ticket_callbacks[4], _ticket_callbacks[5], _ticket_callbacks[6], _ticket_callbacks[7] = _slot4, _slot5, _slot6, _slot7
    return 0


cdef int _ticket(int slot, void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    """OpenSSL's question; see tls/tickets.py for the answers."""
    cdef unsigned char *key = _ticket_keys[slot]
    cdef int number = 0
    cdef Parameter[3] parameters
    if _ticket_count[slot] == 0:
        return -1
    if encrypt:
        memcpy(name, key, TICKET_NAME)
        if RAND_bytes(iv, 16) <= 0:
            return -1
    else:
        while memcmp(name, key, TICKET_NAME) != 0:
            number += 1
            if number == _ticket_count[slot]:
                return 0
            key += KEY
    parameters[0] = Parameter(b"key", OCTETS, key + TICKET_NAME, 32, <size_t>-1)
    parameters[1] = Parameter(b"digest", UTF8, <const char *>b"SHA256", 6, <size_t>-1)
    parameters[2] = Parameter(NULL, 0, NULL, 0, 0)
    if EVP_MAC_CTX_set_params(mac, parameters) <= 0:
        return -1
    if (EVP_EncryptInit_ex if encrypt else EVP_DecryptInit_ex)(cipher, EVP_aes_256_cbc(), NULL, key + TICKET_NAME + 32, iv) <= 0:
        return -1
    return 2 if number or SSL_version(session) >= TLS_1_3 else 1


cdef int _slot0(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(0, session, name, iv, cipher, mac, encrypt)


cdef int _slot1(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(1, session, name, iv, cipher, mac, encrypt)


cdef int _slot2(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(2, session, name, iv, cipher, mac, encrypt)


cdef int _slot3(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(3, session, name, iv, cipher, mac, encrypt)


cdef int _slot4(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(4, session, name, iv, cipher, mac, encrypt)


cdef int _slot5(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(5, session, name, iv, cipher, mac, encrypt)


cdef int _slot6(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(6, session, name, iv, cipher, mac, encrypt)


cdef int _slot7(void *session, unsigned char *name, unsigned char *iv, void *cipher, void *mac, int encrypt) noexcept nogil:
    return _ticket(7, session, name, iv, cipher, mac, encrypt)


cpdef object ticket_slot(int slot, bytes keys):
    """See wire.py."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(keys)
    if not _native or slot < 0 or slot >= SLOTS or size > MOST_KEYS * KEY or size % KEY:
        return 0
    try:
        _load_tickets()
    except LookupError:
        return 0
    memcpy(_ticket_keys[slot], PyBytes_AS_STRING(keys), size)
    _ticket_count[slot] = <int>(size // KEY)
    return <size_t><void *>_ticket_callbacks[slot]


# ---------------------------------------------------------------- the choice of a protocol

cdef enum:
    LISTS = 8
    LONGEST_LIST = 64

cdef struct Protocols:
    unsigned int size
    unsigned char[LONGEST_LIST] names

cdef Protocols[LISTS] _protocols
cdef int _lists = 0


cdef int _choose_protocol(void *session, const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
                          unsigned int size, void *given) noexcept nogil:
    """OpenSSL's question; see tls/alpn.py. What is offered is well-formed: OpenSSL has looked."""
    cdef Protocols *wanted = <Protocols *>given
    cdef unsigned int at = 0, there
    while at < wanted.size:
        there = 0
        while there < size:
            if offered[there] == wanted.names[at] and memcmp(offered + there, wanted.names + at, 1 + wanted.names[at]) == 0:
                out[0] = offered + there + 1
                out_size[0] = offered[there]
                return 0
            there += 1 + offered[there]
        at += 1 + wanted.names[at]
    return 2


cpdef tuple alpn_choice(bytes wanted):
    """See wire.py."""
    global _lists
    cdef Py_ssize_t size = PyBytes_GET_SIZE(wanted)
    cdef int number = 0
    if not _native or size > LONGEST_LIST:
        return 0, 0
    while number < _lists:
        if _protocols[number].size == size and memcmp(_protocols[number].names, PyBytes_AS_STRING(wanted), size) == 0:
            break
        number += 1
    if number == LISTS:
        return 0, 0
    if number == _lists:
        memcpy(_protocols[number].names, PyBytes_AS_STRING(wanted), size)
        _protocols[number].size = <unsigned int>size
        _lists += 1
    return <size_t><void *>_choose_protocol, <size_t>&_protocols[number]


# ---------------------------------------------------------------- the engine

_nothing_in, _nothing_out = ssl.MemoryBIO(), ssl.MemoryBIO()


cdef class _Native(TlsEngine):
    """See TlsEngine."""

    cdef void *_session
    cdef object _failed
    cdef bytes _fed
    cdef bytes _owed

    def __init__(self, tls):
        self.tls = tls
        self.unsent = self._fed = self._owed = b""
        self._session = _session_of(tls)
        bio = BIO_new(_method)
        if bio == NULL:
            raise MemoryError
        BIO_set_init(bio, 1)
        BIO_set_flags(bio, SHOULD_READ_AGAIN)
        SSL_set_bio(self._session, bio, bio)  # which owns it from now on, and lets those of `ssl` go

    cpdef put(self, bytes raw):
        """See TlsEngine."""
        self._fed = self._fed + raw if self._fed else raw

    cpdef bint shake(self) except -1:
        """See TlsEngine."""
        global _source_left
        cdef int result
        self._begin(self._fed)
        result = SSL_do_handshake(self._session)
        self._fed = PyBytes_FromStringAndSize(_source, _source_left) if _source_left else b""
        _source_left = 0  # whoever comes next must not find it, nor the memory that it stood in
        self._keep_output()
        if result == 1:
            self.again = len(self._fed) > 0
            return True
        if SSL_get_error(self._session, result) == WANT_READ:
            return False
        failure = _failure()
        failure.verify_code = SSL_get_verify_result(self._session)
        raise failure

    cpdef bytes receive(self, int fd, Py_ssize_t limit):
        """See TlsEngine."""
        global _source, _source_left
        cdef Py_ssize_t got = _recv(fd, _input, limit if limit < INPUT else INPUT)
        if got < 0:
            return None
        self.got = got
        if got == 0:
            return b""
        self._begin(b"")
        _source, _source_left = _input, got
        return self._read(got)

    cpdef bytes decrypt(self):
        """See TlsEngine."""
        if self._failed is not None:
            raise self._failed
        fed, self._fed = self._fed, b""
        self.again = False
        self._begin(fed)
        return self._read(_source_left)

    cdef bytes _read(self, Py_ssize_t size):
        """Whatever is in the source, of this size, and in OpenSSL."""
        cdef PyObject *large = NULL
        cdef Py_ssize_t got
        if size <= SMALL:
            got = self._read_into(_plain, size + RECORD)
            return PyBytes_FromStringAndSize(_plain, got) if got else b""
        large = new_bytes(NULL, size + RECORD)
        try:
            got = self._read_into(bytes_at(large), size + RECORD)
            _PyBytes_Resize(&large, got)
            return <bytes>large
        finally:
            if large != NULL:
                Py_DECREF(large)

    cdef Py_ssize_t _read_into(self, char *into, Py_ssize_t room) except -1:
        """`room`: as much as the source and a record; so there is always room for whatever comes next."""
        global _source_left
        cdef Py_ssize_t at = 0
        cdef int got, error
        while True:
            got = SSL_read(self._session, into + at, <int>(room - at))
            if got > 0:
                at += got
                if _source_left:
                    continue
                break
            error = SSL_get_error(self._session, got)
            if error == ZERO_RETURN:
                self.ended = True
            elif error != WANT_READ:
                _source_left = 0
                failure = _failure()
                self._keep_output()
                if not at:
                    raise failure
                self._failed = failure  # what came before is sound; the next look meets the failure
                self.again = True
            break
        _source_left = 0  # not zero only behind an end
        if _output_used:
            self._keep_output()
        return at

    cpdef Py_ssize_t push(self, int fd, data, Py_ssize_t at, bint last=False) except -1:
        """See TlsEngine."""
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            return self._push(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), at, last)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self._push(fd, <const char *>view.buf, view.len, at, last)
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t _push(self, int fd, const char *data, Py_ssize_t size, Py_ssize_t at, bint last) except -1:
        global _output_used
        cdef Py_ssize_t end = at + AT_ONCE if size - at > AT_ONCE else size
        cdef Py_ssize_t sent
        cdef int done
        self._begin(b"")
        if self._owed:
            if _bio_write(NULL, PyBytes_AS_STRING(self._owed), <int>PyBytes_GET_SIZE(self._owed)) < 0:
                raise MemoryError
            self._owed = b""
        while at < end:
            done = SSL_write(self._session, data + at, <int>(end - at))
            if done <= 0:
                self._keep_output()
                raise _failure()
            at += done
        if last and at == size and SSL_shutdown(self._session) < 0:
            ERR_clear_error()
        try:
            self.pushed = sent = _send(fd, _output, _output_used)
            if sent != _output_used:
                self.unsent = PyBytes_FromStringAndSize(_output + sent, _output_used - sent)
        finally:
            _output_used = 0
        return at

    cpdef Py_ssize_t owed(self) except -1:
        """See TlsEngine."""
        return PyBytes_GET_SIZE(self._owed)

    cpdef bytes take(self):
        """See TlsEngine."""
        owed, self._owed = self._owed, b""
        return owed

    cpdef bytes goodbye(self):
        """See TlsEngine."""
        self._begin(b"")
        if SSL_shutdown(self._session) < 0:
            ERR_clear_error()  # in the middle of a handshake, or behind a failure
        self._keep_output()
        return self.take()

    cdef _begin(self, bytes source):
        """Before OpenSSL is called: the source is this, which the caller keeps; nothing is left of whatever was before."""
        global _source, _source_left, _output_used
        _output_used = 0
        if ERR_peek_error():
            ERR_clear_error()  # somebody else's; SSL_get_error would take it for ours
        _source, _source_left = PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source)

    cdef _keep_output(self):
        """What OpenSSL had to say beside data waits for the next write."""
        global _output, _output_size, _output_used
        if _output_used:
            self._owed = self._owed + PyBytes_FromStringAndSize(_output, _output_used)
            _output_used = 0
            if _output_size > KEPT:
                _output, _output_size = <char *>realloc(_output, KEPT), KEPT


cdef void *_session_of(tls) except NULL:
    """The `SSL *` of what `ssl` made: behind the object's head and a reference to a socket."""
    cdef void *found = (<void **><PyObject *>tls)[sizeof(PyObject) // sizeof(void *) + 1]
    if found == NULL or SSL_get_ex_data(found, APPLICATION) != <void *>tls:
        raise LookupError("SSL *")
    return found


cdef _failure():
    """OpenSSL's last error, in the spelling of SSLError.reason."""
    cdef unsigned long code = ERR_peek_last_error()
    cdef const char *told = ERR_reason_error_string(code) if code else NULL
    ERR_clear_error()
    text = "tls failure" if told == NULL else (<bytes>told).decode("ascii", "replace")
    failure = ssl.SSLError(1, text)
    failure.reason = text.upper().replace(" ", "_")
    return failure


cdef bint _usable():
    """Whether everything is where it should be; tried with a session nobody needs."""
    try:
        _load()
        made = session(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), None, _nothing_in, _nothing_out)
        return type(made) is _ssl._SSLSocket and type(made).__basicsize__ >= 64 and _session_of(made) != NULL
    except (LookupError, AttributeError):
        return False


cdef bint _native = _usable()


cpdef TlsEngine make_engine(context, server_name):
    """See wire.py."""
    if not _native:
        return TlsEngine(context, server_name)
    return _Native(session(context, server_name, _nothing_in, _nothing_out))
