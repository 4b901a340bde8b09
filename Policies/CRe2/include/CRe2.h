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
/// How many groups the pattern has.
int cre2_groups(const cre2_pattern *pattern);
/// The number of a named group, 0 where there is none.
int cre2_group(const cre2_pattern *pattern, const char *name);
/// The leftmost match that begins at `from` or behind it and ends at `to` or before it; what lies in front of `from` is
/// looked at for `^` and `\b`. `places` takes both ends of the whole match and of groups, `ranges` in all, -1 for a
/// group that took no part.
bool cre2_find(const cre2_pattern *pattern, const char *_Nullable text, size_t count, size_t from, size_t to,
               ptrdiff_t *places, size_t ranges);

#pragma clang assume_nonnull end

#ifdef __cplusplus
}
#endif
#endif
