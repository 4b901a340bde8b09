// Regular expressions in linear time, by RE2, behind plain C: see CToml.h for the reason.
//
// Patterns come from policies and texts from requests, both of which may be hostile: RE2 takes time in proportion to the
// text, and the memory of a pattern is bounded.
#ifndef CRE2_H
#define CRE2_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma clang assume_nonnull begin

typedef struct cre2_pattern cre2_pattern;

/// Compiles UTF-8. NULL where it is no pattern; `error` then has the reason, cut to `size` and terminated.
cre2_pattern *_Nullable cre2_compile(const char *_Nullable text, size_t count, char *error, size_t size);
/// The same for bytes, each of which is a character. Of less memory, since it also bounds the time that a byte takes, and
/// one text after the other is matched.
cre2_pattern *_Nullable cre2_compile_bytes(const char *_Nullable text, size_t count, char *error, size_t size);
void cre2_free(cre2_pattern *_Nullable pattern);
/// Whether the whole text matches.
bool cre2_matches(const cre2_pattern *pattern, const char *_Nullable text, size_t count);

#pragma clang assume_nonnull end

#ifdef __cplusplus
}
#endif
#endif
