// `cordon policy schema`: the language as JSON Schema (2020-12), for editors.
internal import PolicyModel
internal import Wire
internal import Reports

let schemaSubcommand = Subcommand(
    name: "schema", says: "print a JSON Schema of the language, or its reference",
    options: [CommandOption(name: "--markdown", says: "print the reference of all keys"), .help], help: help,
    run: schema)

private let help = """
    cordon policy schema: the policy language for editors and readers

    usage: cordon policy schema [--markdown]

      --markdown   print the reference of all keys instead, as in Policies/README.md

    examples:
      cordon policy schema > cordon.schema.json
      #:schema ./cordon.schema.json        as the first line of a policy, for editors with Taplo

    """

@Sendable private func schema(_ arguments: [String]) throws(SubcommandFailure) -> Never {
    var reader = OptionReader(arguments, help: "cordon policy schema --help")
    var isMarkdown = false
    while let option = try usage({ () throws(UsageError) in try reader.next(known: schemaSubcommand.known) }) {
        try usage { () throws(UsageError) in try reader.requireFlag(option) }
        isMarkdown = true
    }
    guard reader.operands.isEmpty else { throw .usage(UsageError("schema takes no operand")) }
    leave(printing: isMarkdown ? markdown : JsonValue.object(document).serialized + "\n", code: 0)
}

// MARK: - JSON Schema

private var document: JsonObject {
    var document = table("")
    var result = JsonObject()
    result.add("$schema", .string("https://json-schema.org/draft/2020-12/schema"))
    result.add("title", .string("A policy of Cordon"))
    for name in document.names { result.add(name, document[name] ?? .null) }
    document = result
    return document
}

/// A table with its keys and the tables within it.
private func table(_ name: String) -> JsonObject {
    var properties = JsonObject()
    var required: [JsonValue] = []
    for key in policyKeys where key.table == name {
        var property = form(key.form)
        property.add("description", .string(key.says))
        properties.add(key.name, .object(property))
        if key.fallback == "must be written" { required.append(.string(key.name)) }
    }
    for inner in policyTables where parent(inner.name) == name {
        let last = String(inner.name.split(separator: ".").last ?? "")
        var property = table(inner.name)
        property.add("description", .string(inner.says))
        if inner.isRepeated {
            var list = JsonObject()
            list.add("type", .string("array"))
            list.add("items", .object(property))
            properties.add(last, .object(list))
        } else {
            properties.add(last, .object(property))
        }
    }
    var object = JsonObject()
    object.add("type", .string("object"))
    object.add("additionalProperties", .bool(false))
    object.add("properties", .object(properties))
    if !required.isEmpty { object.add("required", .array(required)) }
    return object
}

/// The table that one is in; nil for the top level.
private func parent(_ name: String) -> String? {
    guard !name.isEmpty else { return nil }
    return name.split(separator: ".").dropLast().joined(separator: ".")
}

private func form(_ form: PolicyKey.Form) -> JsonObject {
    func type(_ name: String) -> JsonObject {
        var object = JsonObject()
        object.add("type", .string(name))
        return object
    }
    func words(_ list: [String]) -> JsonObject {
        var object = JsonObject()
        object.add("enum", .array(list.map { .string($0) }))
        return object
    }
    func list(_ item: JsonObject) -> JsonObject {
        var object = type("array")
        object.add("items", .object(item))
        return object
    }
    func either(_ forms: [JsonObject]) -> JsonObject {
        var object = JsonObject()
        object.add("anyOf", .array(forms.map { .object($0) }))
        return object
    }
    switch form {
    case .string: return type("string")
    case .integer: return type("integer")
    case .boolean: return type("boolean")
    case .number: return type("number")
    case .size: return either([type("string"), type("integer")])
    case .strings: return list(type("string"))
    case .ports: return list(type("integer"))
    case .words(let known): return words(known)
    case .listOfWords(let known): return list(words(known))
    case .stringsOrWords(let known): return either([words(known), list(type("string"))])
    case .patterns: return list(either([type("string"), list(type("string"))]))
    case .variables:
        var object = type("object")
        object.add("additionalProperties", .object(type("string")))
        return object
    }
}

// MARK: - Markdown

private var markdown: String {
    var text = ""
    for table in policyTables {
        let title =
            table.name.isEmpty ? "The top level" : table.isRepeated ? "`[[\(table.name)]]`" : "`[\(table.name)]`"
        text += "### \(title)\n\n"
        if !table.name.isEmpty { text += "\(table.says)\n\n" }
        text += "| key | meaning | default | example |\n|---|---|---|---|\n"
        for key in policyKeys where key.table == table.name {
            let says = key.says.split(separator: "|").joined(separator: "\\|")
            text +=
                "| `\(key.name)` | \(says)\(choices(key.form)) | \(key.fallback) | `\(key.name) = \(key.example)` |\n"
        }
        text += "\n"
    }
    return text
}

private func choices(_ form: PolicyKey.Form) -> String {
    switch form {
    case .words(let words), .stringsOrWords(let words):
        " One of " + words.map { "`\($0)`" }.joined(separator: ", ") + "."
    case .listOfWords(let words) where words.count < 10: " Of " + words.map { "`\($0)`" }.joined(separator: ", ") + "."
    default: ""
    }
}
