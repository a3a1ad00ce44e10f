"""Arrays whose memory is reused for the next batch.

A training step allocates the same arrays again and again. malloc, which NumPy uses, returns large
blocks to the system, and new memory causes page faults, which cost several times as much as
computing the content. Without reuse (DLFS_POOL_MB=0) a step of the book's convolutional network
takes 2.6 times as long on one thread (float32: 4.1 ms, not 1.6; medians, interleaved), and that of
the dense network, whose arrays are small, 1.5 % longer.

Therefore `empty_nd` takes a block of memory from here. The new array's base is a small object, the
Block. When the array and all its views are deleted, the Block is deallocated, and its memory is
added to the list of free blocks of that size. An array or a view keeps its Block alive, so memory
in use is never overwritten.

Everything here runs with the GIL held, so it is safe for threads.
"""

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uintptr_t

import os

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, const cnp.npy_intp *dims,
                                const cnp.npy_intp *strides, void *data, int flags, void *obj)

cdef extern from "poison.h" nogil:
    void dlfs_forbid(void *p, size_t n)
    void dlfs_allow(void *p, size_t n)

# The size of a cache line, and of the widest vector.
cdef size_t ALIGNMENT = 64
# Four sizes for each power of two: at most a quarter of a block is wasted.
cdef enum:
    SIZES = 4 * 48
    SMALLEST = 256


cdef struct Chunk:
    # Stored at the beginning of the free memory itself.
    Chunk *next
    void *raw

cdef Chunk *free_chunks[SIZES]
cdef size_t cached_bytes = 0
cdef size_t limit_bytes = 0
cdef size_t made_chunks = 0


cdef int size_class(size_t n, size_t *rounded) noexcept:
    """The index of the smallest size that holds n bytes, and that size."""
    cdef int power = 0
    cdef size_t base = SMALLEST
    while 2 * base <= n:
        base *= 2
        power += 1
    cdef size_t step = base // 4
    cdef size_t extra = 0 if n <= base else (n - base + step - 1) // step
    rounded[0] = base + extra * step
    return 4 * power + <int>extra


@cython.final
@cython.freelist(64)
cdef class Block:
    """The owner of a piece of memory: the base of an array."""

    def __dealloc__(self):
        global cached_bytes
        cdef Chunk *chunk
        if self.raw == NULL:
            return
        dlfs_allow(self.data, self.size)
        if cached_bytes + self.size > limit_bytes:
            # Blocks of unused sizes must not displace those in use.
            drop_free()
        if self.size > limit_bytes:
            PyMem_RawFree(self.raw)
            return
        chunk = <Chunk *>self.data
        chunk.raw = self.raw
        chunk.next = free_chunks[self.number]
        free_chunks[self.number] = chunk
        cached_bytes += self.size
        dlfs_forbid(self.data, self.size)


cdef void drop_free() noexcept:
    global cached_bytes
    cdef Chunk *chunk
    cdef int number
    for number in range(SIZES):
        while free_chunks[number] != NULL:
            chunk = free_chunks[number]
            dlfs_allow(chunk, sizeof(Chunk))
            free_chunks[number] = chunk.next
            PyMem_RawFree(chunk.raw)
    cached_bytes = 0


cdef Block new_block(size_t n):
    global cached_bytes, made_chunks
    cdef Block block = Block.__new__(Block)
    cdef Chunk *chunk
    cdef void *raw
    cdef size_t size = 0
    cdef int number = size_class(n, &size)
    if number >= SIZES:
        raise MemoryError(f"cannot allocate {n} bytes")
    chunk = free_chunks[number]
    if chunk != NULL:
        dlfs_allow(chunk, sizeof(Chunk))
        free_chunks[number] = chunk.next
        cached_bytes -= size
        block.raw = chunk.raw
        block.data = chunk
    else:
        raw = PyMem_RawMalloc(size + ALIGNMENT)
        if raw == NULL:
            drop_free()
            raw = PyMem_RawMalloc(size + ALIGNMENT)
        if raw == NULL:
            raise MemoryError(f"cannot allocate {n} bytes")
        made_chunks += 1
        block.raw = raw
        block.data = <void *>((<uintptr_t>raw + ALIGNMENT) & ~<uintptr_t>(ALIGNMENT - 1))
    block.size = size
    block.number = number
    dlfs_allow(block.data, n)
    dlfs_forbid(<char *>block.data + n, size - n)
    return block


cdef cnp.ndarray empty_nd(int ndim, const cnp.npy_intp *shape, int typenum):
    """A C-contiguous, 64-byte aligned array with arbitrary contents."""
    cdef cnp.dtype dtype = cnp.PyArray_DescrFromType(typenum)
    cdef size_t n = dtype.itemsize
    cdef int axis
    for axis in range(ndim):
        if shape[axis] > 0 and n > (<size_t>1 << 62) // <size_t>shape[axis]:
            raise MemoryError("cannot allocate an array of more than 2**62 bytes")
        n *= <size_t>shape[axis]
    cdef Block block = new_block(n)
    Py_INCREF(dtype)  # PyArray_NewFromDescr takes a reference
    cdef cnp.ndarray array = PyArray_NewFromDescr(
        cnp.ndarray, dtype, ndim, shape, NULL, block.data, cnp.NPY_ARRAY_CARRAY, NULL)
    cnp.set_array_base(array, block)
    return array


cdef cnp.ndarray empty_like(cnp.ndarray a):
    return empty_nd(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a))


def stats():
    """Return (bytes kept for reuse, their limit, blocks allocated from the system so far)."""
    return cached_bytes, limit_bytes, made_chunks


def set_limit(n):
    """Keep at most `n` bytes for reuse; 0 turns reuse off."""
    global limit_bytes
    if n < 0:
        raise ValueError(f"memory.set_limit: n must not be negative, got {n}")
    limit_bytes = n
    if cached_bytes > limit_bytes:
        drop_free()


def _limit_from_environment():
    text = os.environ.get("DLFS_POOL_MB", "").strip() or "512"
    # Longer numbers are out of range, and may be too long for int().
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise ValueError(f"environment variable DLFS_POOL_MB must be an integer (megabytes), "
                         f"at most 999999999, got {text[:40]!r}")
    return int(text) << 20


set_limit(_limit_from_environment())
