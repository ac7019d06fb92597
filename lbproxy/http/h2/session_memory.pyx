"""The memory of libnghttp2's sessions: what they are made of, and how that is put away while a connection is idle.

Theory of operation. A session of libnghttp2 1.70 begins with 21 KiB, for as long as its connection lives, and nothing in the library
makes it less. An idle connection of nginx is 15 KiB in all. Where they are:

- 16 KiB are a buffer in which each frame that leaves is put together. Whoever calls the library takes each frame as soon as it is there
  (nghttp2.pyx does), so one buffer of the process serves all sessions, as those of net/wire.pyx do. Two things would be read later, and
  nghttp2.pyx sees to both: it writes the head of a DATA frame whose turn was put off itself, and takes a client's preface at once.
- 5 KiB are the session and its tables, nearly all of which stays as it was in the beginning, and as it is in any other session: zeros,
  pointers to functions, pointers to places in the session itself. What a session begins with lies in a region of its own, two pages.
  While its connection is idle what is otherwise there than in a session that has just begun (`_usual`) is kept elsewhere, in 320
  bytes, and the pages are the kernel's again; before the library is called the next time it is back at the same place. That costs some
  microseconds, once a second at most.

What a session needs later, for streams and fields, is malloc's. A region that is given back was cleared.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

cdef enum:
    CHUNK = 9 + 1 + 16384  # NGHTTP2_FRAMEBUF_CHUNKLEN: what the library wants to put frames together in
    REGION = 8192
    SLAB = 64  # regions that are mapped together
    WARM = 64  # that are kept as they are though nobody has them
    WORDS = 1024  # of a region, 8 bytes each
    MASKS = 128  # bytes that have a bit for each word

cdef extern from "sys/mman.h" nogil:
    void *mmap(void *, size_t, int, int, int, long)
    int madvise(void *, size_t, int)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MADV_DONTNEED, MADV_NOHUGEPAGE
    void *MAP_FAILED

cdef char[CHUNK] _chunk
cdef char **_free_regions = NULL
cdef Py_ssize_t _free_count = 0
cdef Py_ssize_t _regions = 0
cdef Py_ssize_t _packed = 0
cdef uint64_t[WORDS] _usual  # what the first session began with
cdef uint64_t _usual_region = 0  # where; 0: there was none yet
cdef Py_ssize_t _usual_words = 0


# ---------------------------------------------------------------- for nghttp2.pyx


cdef Allocator begin(Memory *memory) noexcept:
    """What a session is to be made with; then call `begun`. Where there are no regions it is malloc's."""
    global _free_count
    memory.region, memory.used, memory.packed, memory.begins = NULL, 0, NULL, True
    if _free_count or _map_more():
        _free_count -= 1
        memory.region = _free_regions[_free_count]
    return Allocator(memory, _malloc, _free, _calloc, _realloc)


cdef void begun(Memory *memory) noexcept:
    """The session is made, or could not be; what it wants from here on may not last."""
    global _usual_region, _usual_words
    memory.begins = False
    if _usual_region == 0 and memory.region != NULL:
        _usual_region, _usual_words = <uint64_t>memory.region, memory.used // 8
        memcpy(_usual, memory.region, 8 * _usual_words)


cdef inline uint64_t _expected(Py_ssize_t at, uint64_t region) noexcept:
    """The word at this place in a session that has just begun in `region`."""
    cdef uint64_t word
    if at >= _usual_words:
        return 0
    word = _usual[at]
    return word - _usual_region + region if word - _usual_region < REGION else word


cdef void put_away(Memory *memory) noexcept:
    """It is idle. Where there is no memory to do it in it stays as it is. What is kept: a bit for each word, whether it is another one
    than expected; then, for each that is, a bit for each byte, and the bytes in which they differ, as their exclusive or."""
    global _packed
    cdef uint8_t[REGION + WORDS + MASKS] kept
    cdef const uint64_t *words = <const uint64_t *>memory.region
    cdef uint64_t difference
    cdef uint8_t *mask
    cdef Py_ssize_t at, count = (memory.used + 7) // 8, masks = (count + 7) // 8, size = masks
    cdef int byte
    if memory.region == NULL or memory.packed != NULL:
        return
    memset(kept, 0, masks)
    for at in range(count):
        difference = words[at] ^ _expected(at, <uint64_t>words)
        if difference == 0:
            continue
        kept[at >> 3] |= 1 << (at & 7)
        mask = &kept[size]
        mask[0] = 0
        size += 1
        for byte in range(8):
            if difference & 0xFF:
                mask[0] |= 1 << byte
                kept[size] = difference & 0xFF
                size += 1
            difference >>= 8
    memory.packed = <char *>malloc(size)
    if memory.packed == NULL:
        return
    memcpy(memory.packed, kept, size)
    _packed += 1
    madvise(memory.region, REGION, MADV_DONTNEED)


cdef void fetch_back(Memory *memory) noexcept:
    """Before the library is called. Whoever has not been put away is where it was."""
    global _packed
    cdef const uint8_t *kept = <const uint8_t *>memory.packed
    cdef uint64_t *words = <uint64_t *>memory.region
    cdef uint64_t word
    cdef Py_ssize_t at, count = (memory.used + 7) // 8, from_ = (count + 7) // 8
    cdef int byte
    cdef uint8_t mask
    if kept == NULL:
        return
    for at in range(count):
        word = _expected(at, <uint64_t>words)
        if kept[at >> 3] & (1 << (at & 7)):
            mask = kept[from_]
            from_ += 1
            for byte in range(8):
                if mask & (1 << byte):
                    word ^= <uint64_t>kept[from_] << (8 * byte)
                    from_ += 1
        if word != 0:
            words[at] = word
    free(memory.packed)
    memory.packed = NULL
    _packed -= 1


cdef void give_back(Memory *memory) noexcept:
    """The session is deleted."""
    global _free_count
    cdef char *region = memory.region
    if region == NULL:
        return
    memory.region = NULL
    if _free_count < WARM:
        memset(region, 0, memory.used)
    else:
        madvise(region, REGION, MADV_DONTNEED)
    _free_regions[_free_count] = region
    _free_count += 1


cpdef tuple counted():
    """See session_memory.py."""
    return _regions - _free_count, _packed


cdef bint _map_more() noexcept:
    """More regions; their list never has to grow where nobody could be told of it."""
    global _free_regions, _free_count, _regions
    cdef char *slab
    cdef char **longer = <char **>realloc(_free_regions, (_regions + SLAB) * sizeof(char *))
    cdef int at
    if longer == NULL:
        return False
    _free_regions = longer
    slab = <char *>mmap(NULL, SLAB * REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if slab == <char *>MAP_FAILED:
        return False
    madvise(slab, SLAB * REGION, MADV_NOHUGEPAGE)  # a huge one would be there again as a whole
    for at in range(SLAB):
        _free_regions[_free_count] = slab + (SLAB - 1 - at) * REGION
        _free_count += 1
    _regions += SLAB
    return True


# ---------------------------------------------------------------- what the library calls


cdef inline void *_place(Memory *memory, size_t size) noexcept:
    """In the region of a session that is being made, zeroed as that is; NULL: it is made, or there is no room."""
    cdef char *found
    if not memory.begins or memory.region == NULL or size > <size_t>(REGION - memory.used):
        return NULL
    found = memory.region + memory.used
    memory.used += (<Py_ssize_t>size + 15) & ~15
    if memory.used > REGION:
        memory.used = REGION
    return found


cdef inline bint _placed(Memory *memory, void *at) noexcept:
    return at == <void *>_chunk or <size_t>(<char *>at - memory.region) < <size_t>memory.used


cdef void *_malloc(size_t size, void *user) noexcept:
    cdef void *found = _place(<Memory *>user, size)
    return found if found != NULL else malloc(size)


cdef void _free(void *at, void *user) noexcept:
    if not _placed(<Memory *>user, at):
        free(at)


cdef void *_calloc(size_t count, size_t size, void *user) noexcept:
    cdef void *found = _place(<Memory *>user, count * size)
    return found if found != NULL else calloc(count, size)


cdef void *_realloc(void *before, size_t size, void *user) noexcept:
    cdef Memory *memory = <Memory *>user
    cdef size_t most
    cdef void *found
    if before == NULL:
        return <void *>_chunk if size == CHUNK and memory.begins else _malloc(size, user)
    if not _placed(memory, before):
        return realloc(before, size)
    found = malloc(size)
    if found != NULL:
        most = CHUNK if before == <void *>_chunk else <size_t>(memory.region + memory.used - <char *>before)
        memcpy(found, before, min(size, most))
    return found
