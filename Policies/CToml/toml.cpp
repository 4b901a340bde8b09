// toml++ behind the C of CToml.h. It never throws across that boundary.
#include "CToml.h"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#define TOML_MAX_NESTED_VALUES 64
#include <toml++/toml.h>

#include <string>
#include <string_view>
#include <vector>

static_assert(TOML_MAX_NESTED_VALUES == CTOML_MAX_NESTED_VALUES);

struct ctoml_document {
    toml::table root;  // owns the texts that nodes point to
    std::vector<ctoml_node> nodes;
    std::string error;
    uint32_t error_line = 0, error_column = 0;
};

namespace {

/// Finds a dotted key or header of more than CTOML_MAX_KEY_PARTS parts, so that toml++ never builds what its
/// recursive destructors could not take down. It knows strings and comments, no more: where the document is
/// malformed the two may disagree about what follows, but toml++ stops at that point.
class key_depth_scan {
  public:
    explicit key_depth_scan(std::string_view text) : text_(text) {}

    uint32_t line = 1, column = 1;

    /// True when a key is too deep; `line` and `column` are then where.
    bool finds_excess() {
        size_t dots = 0;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '#') {
                skip_comment();
            } else if (c == '"' || c == '\'') {
                skip_string(c);
            } else if (c == '.') {
                if (++dots >= CTOML_MAX_KEY_PARTS) return true;
                advance();
            } else {
                if (c == '\n' || c == '=' || c == ',' || c == '[' || c == ']' || c == '{' || c == '}') dots = 0;
                advance();
            }
        }
        return false;
    }

  private:
    void advance() {
        const auto byte = static_cast<unsigned char>(text_[at_++]);
        if (byte == '\n') {
            ++line;
            column = 1;
        } else if ((byte & 0xC0) != 0x80) {  // continuation bytes start no code point
            ++column;
        }
    }

    void skip_comment() {
        while (at_ < text_.size() && text_[at_] != '\n') advance();
    }

    bool has_three(char quote) const {
        return at_ + 2 < text_.size() && text_[at_] == quote && text_[at_ + 1] == quote && text_[at_ + 2] == quote;
    }

    void skip_string(char quote) {
        const bool multiline = has_three(quote);
        for (int i = 0; i < (multiline ? 3 : 1); ++i) advance();
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '\\' && quote == '"') {
                advance();
                if (at_ < text_.size()) advance();
            } else if (multiline && has_three(quote)) {
                // Up to two quotes may stand directly before the closing three.
                while (at_ < text_.size() && text_[at_] == quote) advance();
                return;
            } else if (!multiline && (c == quote || c == '\n')) {
                if (c == quote) advance();
                return;
            } else {
                advance();
            }
        }
    }

    std::string_view text_;
    size_t at_ = 0;
};

ctoml_text text_of(std::string_view view) { return {view.data(), view.size()}; }

ctoml_node node_of(const toml::node &value, const toml::key *key) {
    ctoml_node node{};
    node.line = value.source().begin.line;
    node.column = value.source().begin.column;
    if (key) {
        node.key = text_of(key->str());
        node.key_line = key->source().begin.line;
        node.key_column = key->source().begin.column;
    }
    switch (value.type()) {
        case toml::node_type::none:
        case toml::node_type::table: node.type = CTOML_TABLE; break;
        case toml::node_type::array: node.type = CTOML_ARRAY; break;
        case toml::node_type::string:
            node.type = CTOML_STRING;
            node.text = text_of(value.as_string()->get());
            break;
        case toml::node_type::integer:
            node.type = CTOML_INTEGER;
            node.integer = value.as_integer()->get();
            break;
        case toml::node_type::floating_point:
            node.type = CTOML_FLOAT;
            node.real = value.as_floating_point()->get();
            break;
        case toml::node_type::boolean:
            node.type = CTOML_BOOLEAN;
            node.boolean = value.as_boolean()->get();
            break;
        case toml::node_type::date:
        case toml::node_type::time:
        case toml::node_type::date_time: node.type = CTOML_DATE_TIME; break;
    }
    return node;
}

/// Breadth first, so that children lie side by side and no recursion is needed.
void flatten(ctoml_document &document) {
    std::vector<const toml::node *> queue{&document.root};
    document.nodes.push_back(node_of(document.root, nullptr));
    for (size_t i = 0; i < queue.size(); ++i) {
        const size_t first = queue.size();
        if (const auto *table = queue[i]->as_table()) {
            for (const auto &[key, value] : *table) {
                queue.push_back(&value);
                document.nodes.push_back(node_of(value, &key));
            }
        } else if (const auto *array = queue[i]->as_array()) {
            for (const auto &value : *array) {
                queue.push_back(&value);
                document.nodes.push_back(node_of(value, nullptr));
            }
        }
        document.nodes[i].first_child = first;
        document.nodes[i].child_count = queue.size() - first;
    }
}

void fail(ctoml_document &document, std::string_view message, uint32_t line, uint32_t column) {
    document.error = message;
    document.error_line = line;
    document.error_column = column;
}

void parse(ctoml_document &document, std::string_view text) {
    if (text.size() > CTOML_MAX_BYTES) return fail(document, "the file is larger than 1 MB", 1, 1);
    key_depth_scan scan{text};
    if (scan.finds_excess()) return fail(document, "a key has more than 16 parts", scan.line, scan.column);
    toml::parse_result result = toml::parse(text);
    if (!result) {
        const auto &error = result.error();
        return fail(document, error.description(), error.source().begin.line, error.source().begin.column);
    }
    document.root = std::move(result).table();
    flatten(document);
}

}  // namespace

extern "C" {

ctoml_document *ctoml_parse(const uint8_t *bytes, size_t count) {
    ctoml_document *document = nullptr;
    try {
        document = new ctoml_document;
        parse(*document, {reinterpret_cast<const char *>(bytes), count});
        return document;
    } catch (...) {  // bad_alloc is all that can come
        delete document;
        return nullptr;
    }
}

void ctoml_free(ctoml_document *document) { delete document; }

const char *ctoml_error(const ctoml_document *document) {
    return document->error.empty() ? nullptr : document->error.c_str();
}
uint32_t ctoml_error_line(const ctoml_document *document) { return document->error_line; }
uint32_t ctoml_error_column(const ctoml_document *document) { return document->error_column; }

size_t ctoml_node_count(const ctoml_document *document) { return document->nodes.size(); }
const ctoml_node *ctoml_nodes(const ctoml_document *document) { return document->nodes.data(); }

}
