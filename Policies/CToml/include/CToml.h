// A TOML document as a flat list of nodes with positions.
//
// toml++ does the parsing, but behind plain C: C++ interoperability would spread to every Swift target that
// imports this one and breaks `-static-executable`. The text may be hostile, so size and depth are bounded here,
// before toml++ builds anything.
#ifndef CTOML_H
#define CTOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma clang assume_nonnull begin

enum {
    /// Longer documents are refused unread.
    CTOML_MAX_BYTES = 1 << 20,
    /// Arrays and inline tables inside each other.
    CTOML_MAX_NESTED_VALUES = 64,
    /// Parts of one dotted key or table header. toml++ has no such limit, and its destructors recurse.
    CTOML_MAX_KEY_PARTS = 16,
};

typedef enum __attribute__((enum_extensibility(closed))) ctoml_type {
    CTOML_TABLE,
    CTOML_ARRAY,
    CTOML_STRING,
    CTOML_INTEGER,
    CTOML_FLOAT,
    CTOML_BOOLEAN,
    CTOML_DATE_TIME,
} ctoml_type;

/// Bytes owned by the document, UTF-8, not terminated; they may contain NUL.
typedef struct ctoml_text {
    const char *_Nullable bytes;
    size_t count;
} ctoml_text;

/// One value. Lines and columns count from 1, columns in code points; 0 where there is none.
typedef struct ctoml_node {
    ctoml_type type;
    ctoml_text key;  ///< Empty for the root and for elements of arrays.
    uint32_t key_line, key_column;
    uint32_t line, column;
    size_t first_child, child_count;  ///< Children of a table or an array lie side by side in the list.
    ctoml_text text;                  ///< Of a string.
    int64_t integer;
    double real;
    bool boolean;
} ctoml_node;

typedef struct ctoml_document ctoml_document;

/// Parses `count` bytes, which need not outlive the call. NULL only when memory ran out; a document with an
/// error has no nodes.
ctoml_document *_Nullable ctoml_parse(const uint8_t *_Nullable bytes, size_t count);
void ctoml_free(ctoml_document *_Nullable document);

/// What is wrong, as a terminated string, or NULL.
const char *_Nullable ctoml_error(const ctoml_document *document);
uint32_t ctoml_error_line(const ctoml_document *document);
uint32_t ctoml_error_column(const ctoml_document *document);

/// The nodes; the root table is the first.
size_t ctoml_node_count(const ctoml_document *document);
const ctoml_node *_Nullable ctoml_nodes(const ctoml_document *document);

#pragma clang assume_nonnull end

#ifdef __cplusplus
}
#endif
#endif
