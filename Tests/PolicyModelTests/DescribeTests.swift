import PolicyModel
import PolicyPresets
import Testing

@Suite struct DescribeTests {
    @Test(arguments: presetNames)
    func aDescriptionIsThePolicyAgain(_ name: String) throws {
        let text = try load([:], from: "preset:\(name)").description
        #expect(try load(["main.toml": text]).description == text)
    }

    @Test func nothingIsLostOnTheWay() throws {
        let policy = try loadBody(
            #"""
            allow_degraded = ["swap", "io"]
            [fs]
            read = ["/a \"b\\\\", "é", "*\u202e"]
            exec = []
            toolchains = ["/opt/x"]
            caches = ["go"]
            [network]
            mode = "host"
            [env]
            inherit = "all"
            pass = ["A*"]
            set = { A = "1\n\t\u0001\u007f\\", B = "" }
            [resources]
            wall = "1500ms"
            cpu = "2h"
            cpus = 0.1
            memory = "33%"
            swap = 0
            pids = 3
            output = "1025"
            output_action = "kill"
            disk = "1G"
            inodes = 1000
            open_files = 64
            file_size = "1M"
            io_read = "10M"
            io_write = 5
            [identity]
            root = true
            hostname = "a.b"
            """#)
        let again = try load(["main.toml": policy.description])
        #expect(again.description == policy.description)
        #expect(again.environment.set == policy.environment.set && again.environment.inherit == .all)
        #expect(again.fileSystem.read.map(\.value) == policy.fileSystem.read.map(\.value))
        #expect(again.fileSystem.exec == [] && again.fileSystem.toolchains.value == .paths(["/opt/x"]))
        #expect(again.resources.cpus?.value == 0.1 && again.resources.memory?.value == .percent(33))
        #expect(again.resources.wall?.value == 1500 && again.resources.output?.value == 1025)
        #expect(again.resources.swap?.value == 0 && again.resources.ioWrite?.value == 5)
        #expect(again.identity.user?.value.uid == 0 && again.network.value == .host)
        #expect(Set(again.allowDegraded.keys) == [.swap, .io])
    }
}
