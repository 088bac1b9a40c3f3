// Reading and writing the program's own memory where a bad address must be an answer, not a crash:
// as copy_from_user() and copy_to_user() of a kernel.
#pragma once

#include <stddef.h>

// Copies from `address` on; answers with how many bytes could be read, up to `size`.
size_t memory_read(void *to, const void *address, size_t size);

// Copies to `address` on; answers with how many bytes could be written, up to `size`.
size_t memory_write(void *address, const void *from, size_t size);
