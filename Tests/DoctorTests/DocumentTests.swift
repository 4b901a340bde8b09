// Policies/GUARANTEES.md is the closed list, word for word.
import Foundation
import PolicyModel
import TestSupport
import Testing

@Suite struct DocumentTests {
    @Test func theDocumentIsTheList() throws {
        let text = try String(contentsOfFile: repository + "/Policies/GUARANTEES.md", encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map(String.init)
        let expected = Guarantee.allCases.map { "| `\($0.rawValue)` | \($0.promise) | \($0.mechanism) |" }
        for (row, wanted) in zip(rows, expected) where row != wanted {
            Issue.record("replace\n\(row)\nby\n\(wanted)")
        }
        #expect(rows.count == expected.count)
    }
}
