// Network grants by name. They are read and checked, so that a policy can be written for the version that enforces
// them; until then each is refused: a run that ignored one would either break or be open.

extension TableReader {
    /// `network.allow = ["host:port"]` and `[[network.grant]]` with `host` and `ports`.
    func refuseGrants() {
        for grant in list("allow", grantText) ?? [] { refuse(grant.value, at: grant.location) }
        guard let entry = entry("grant") else { return }
        guard entry.kind == .array else {
            findings.report(
                "`network.grant` must be an array of tables, not \(entry.kindName)", at: entry.location,
                remedy: "write `[[network.grant]]`")
            return
        }
        for element in document.children(of: entry) {
            guard element.kind == .table else {
                findings.report(
                    "`network.grant` must be an array of tables, but holds \(element.kindName)", at: element.location,
                    remedy: "write `[[network.grant]]`")
                continue
            }
            TableReader(
                element, of: document, path: "network.grant", keys: ["host", "ports", "reason"], findings: findings
            ).refuseGrant()
        }
    }

    private func refuseGrant() {
        for key in ["host", "ports"] where entry(key) == nil {
            findings.report("`network.grant` lacks `\(key)`", at: node.location)
        }
        let host = read("host", grantHost)
        _ = list("ports", count(upTo: 65_535))
        _ = read("reason", string)
        if let host { refuse(host.value, at: node.location) }
    }

    private func refuse(_ grant: String, at location: SourceLocation?) {
        findings.report(
            "the network grant \(quoted(grant)) cannot be enforced yet", at: location,
            remedy: "remove it; with `network.mode = \"deny\"` nothing can be reached")
    }
}

private func grantText(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
        let port = decimal(text.utf8[text.utf8.index(after: colon)...]), (1...65_535).contains(port),
        isGrantHost(text[..<colon])
    else {
        throw InvalidValue(
            "\(quoted(text)) is not a host and a port", remedy: "write \"host:port\", such as \"pypi.org:443\"")
    }
    return text
}

private func grantHost(_ node: TomlNode) throws(InvalidValue) -> String {
    let text = try string(node)
    guard isGrantHost(text[...]) else {
        throw InvalidValue("\(quoted(text)) is not a host", remedy: "write a name or an address, such as \"pypi.org\"")
    }
    return text
}

/// A name, `*.` and a name, an IPv4 address, or an IPv6 address in brackets.
private func isGrantHost(_ text: Substring) -> Bool {
    if text.utf8.first == UInt8(ascii: "["), text.utf8.last == UInt8(ascii: "]") {
        let address = text.utf8.dropFirst().dropLast()
        return address.contains(UInt8(ascii: ":"))
            && address.allSatisfy { byte in "0123456789abcdefABCDEF:.".utf8.contains(byte) }
    }
    return isHostName(String(text.hasPrefix("*.") ? text.dropFirst(2) : text))
}
