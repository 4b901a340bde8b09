#include "CRe2.h"

#include <re2/re2.h>

#include <cstring>
#include <new>
#include <vector>

struct cre2_pattern {
    RE2 expression;
    cre2_pattern(const re2::StringPiece &text, const RE2::Options &options) : expression(text, options) {}
};

static cre2_pattern *compile(const char *text, size_t count, RE2::Options &options, char *error, size_t size) {
    options.set_log_errors(false);
    const char *reason = "no memory";
    cre2_pattern *pattern = nullptr;
    try {
        pattern = new cre2_pattern(re2::StringPiece(text, count), options);
        if (pattern->expression.ok()) return pattern;
        reason = pattern->expression.error().c_str();
    } catch (const std::bad_alloc &) {
    }
    if (size > 0) {
        std::strncpy(error, reason, size - 1);
        error[size - 1] = '\0';
    }
    delete pattern;
    return nullptr;
}

cre2_pattern *cre2_compile(const char *text, size_t count, char *error, size_t size) {
    RE2::Options options;
    options.set_max_mem(1 << 20);
    return compile(text, count, options, error, size);
}

cre2_pattern *cre2_compile_bytes(const char *text, size_t count, char *error, size_t size) {
    RE2::Options options;
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_max_mem(1 << 17);
    return compile(text, count, options, error, size);
}

void cre2_free(cre2_pattern *pattern) { delete pattern; }

bool cre2_matches(const cre2_pattern *pattern, const char *text, size_t count) {
    try {
        return RE2::FullMatch(re2::StringPiece(text, count), pattern->expression);
    } catch (const std::bad_alloc &) {
        return false;
    }
}

int cre2_groups(const cre2_pattern *pattern) { return pattern->expression.NumberOfCapturingGroups(); }

int cre2_group(const cre2_pattern *pattern, const char *name) {
    try {
        const auto &names = pattern->expression.NamedCapturingGroups();
        const auto found = names.find(name);
        return found == names.end() ? 0 : found->second;
    } catch (const std::bad_alloc &) {
        return 0;
    }
}

bool cre2_find(const cre2_pattern *pattern, const char *text, size_t count, size_t from, size_t to, ptrdiff_t *places,
               size_t ranges) {
    try {
        const re2::StringPiece whole(text, count);
        std::vector<re2::StringPiece> pieces(ranges);
        if (!pattern->expression.Match(whole, from, to, RE2::UNANCHORED, pieces.data(), static_cast<int>(ranges)))
            return false;
        for (size_t index = 0; index < ranges; index++) {
            const bool took_part = pieces[index].data() != nullptr;
            places[2 * index] = took_part ? pieces[index].data() - text : -1;
            places[2 * index + 1] = took_part ? places[2 * index] + static_cast<ptrdiff_t>(pieces[index].size()) : -1;
        }
        return true;
    } catch (const std::bad_alloc &) {
        return false;
    }
}
