#include "CPrograms.h"

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
