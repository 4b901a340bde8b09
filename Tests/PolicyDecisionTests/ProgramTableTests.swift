// The table of programs, as the engine finds and reads it.
import Testing

@testable import PolicyDecision

@Suite struct ProgramTableTests {
    @Test func everyTableIsRead() {
        let table = ProgramTable()
        let names = table.names
        #expect(names.count > 800)
        for name in names { #expect(table.spec([name]) != nil, "\(name)") }
    }

    @Test func searchingFindsWhatTheIndexHas() { #expect(ProgramTable().placesAgree()) }

    @Test(arguments: [["nothing"], ["git", "nothing"], [""], ["\""], ["a\nb"], ["ls", "x"], ["["], ["git", ""]])
    func whatIsNotThere(_ path: [String]) {
        let fresh = ProgramTable(), indexed = ProgramTable()
        for number in 0..<20 { _ = indexed.spec(["x\(number)"]) }
        #expect((fresh.spec(path) == nil) == (indexed.spec(path) == nil))
        #expect((fresh.spec(path) != nil) == (path == ["["]))
    }
}
