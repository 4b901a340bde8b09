// Network grants by name. They are read, and judged by the engine; a run refuses them until they can be enforced.

extension TableReader {
    /// `network.allow = ["host:port"]` and `[[network.grant]]` with `host` and `ports`.
    func grants() -> [Located<NetworkGrant>] {
        let short = list("allow", grantText) ?? []
        return short + tables("grant", keys: ["host", "ports", "reason"]).compactMap { $0.grant() }
    }

    private func grant() -> Located<NetworkGrant>? {
        for key in ["host", "ports"] where entry(key) == nil {
            findings.report("`network.grant` lacks `\(key)`", at: node.location)
        }
        let host = read("host", grantHost)
        let ports = list("ports", count(upTo: 65_535))
        _ = read("reason", string)
        guard let host, let ports else { return nil }
        return Located(NetworkGrant(host: host.value, ports: ports.map { UInt16($0.value) }), at: node.location)
    }
}

private func grantText(_ node: TomlNode) throws(InvalidValue) -> NetworkGrant {
    let text = try string(node)
    guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
        let port = decimal(text.utf8[text.utf8.index(after: colon)...]), (1...65_535).contains(port),
        isGrantHost(text[..<colon])
    else {
        throw InvalidValue(
            "\(quoted(text)) is not a host and a port", remedy: "write \"host:port\", such as \"pypi.org:443\"")
    }
    return NetworkGrant(host: String(text[..<colon]), ports: [UInt16(port)])
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
