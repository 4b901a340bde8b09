#define _GNU_SOURCE
#include "CPrograms.h"

#include <string.h>

static const uint8_t text[] = {
#embed "archives.toml" suffix(, )
#embed "build.toml" suffix(, )
#embed "builtins.toml" suffix(, )
#embed "editors.toml" suffix(, )
#embed "files.toml" suffix(, )
#embed "git.toml" suffix(, )
#embed "interpreters.toml" suffix(, )
#embed "network.toml" suffix(, )
#embed "packages.toml" suffix(, )
#embed "system.toml" suffix(, )
#embed "text.toml" suffix(, )
#embed "wrappers.toml" suffix(, )
};

const uint8_t *cprograms_text(void) { return text; }
size_t cprograms_size(void) { return sizeof text; }

size_t cprograms_find(const uint8_t *bytes, size_t count, size_t offset) {
    if (offset >= sizeof text) return sizeof text;
    const uint8_t *found = memmem(text + offset, sizeof text - offset, bytes, count);
    return found ? (size_t)(found - text) : sizeof text;
}

size_t cprograms_header(size_t offset) {
    // From the byte in front, which is the end of a line or of the file before; the very first line is a comment.
    size_t found = cprograms_find((const uint8_t *)"\n[", 2, offset > 0 ? offset - 1 : 0);
    return found < sizeof text ? found + 1 : found;
}
