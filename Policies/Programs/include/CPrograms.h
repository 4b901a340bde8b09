// The table of programs as bytes in the executable: it cannot be missing or be changed on the machine.
//
// C, because SwiftPM's `embedInCode` makes an array literal of it that takes the compiler a minute, and a table that is not
// read costs nothing this way: no page of it is touched.
#ifndef CPROGRAMS_H
#define CPROGRAMS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// All the files one after another, ASCII; functions, because Swift imports no array of unknown size.
const uint8_t *cprograms_text(void);
size_t cprograms_size(void);

/// Where the next line starts that begins with `[`, at or behind an offset; the size where there is none. In C, because memmem
/// reads the quarter of a megabyte in a few microseconds.
size_t cprograms_header(size_t offset);

/// Where some bytes are found at or behind an offset; the size where they are not. In C for the same reason.
size_t cprograms_find(const uint8_t *_Nullable bytes, size_t count, size_t offset);

#pragma clang assume_nonnull end
#endif
