// Metrics for a scraper: an answer in HTTP/1.1 (RFC 9112) to whatever is asked, and nothing else. What a scraper sends is read
// to the end of its headers and not looked at.
public import Linux
internal import Metrics
internal import SupervisorCore

extension Broker {
    /// Answers scrapers on a listening socket.
    public func serveMetrics(on socket: Int32) throws(Errno) {
        _ = try loop.watch(socket, .readable) { [weak self] _ in
            guard let self, let client = try? accept(on: socket), scrapers.count < Scraper.most else { return }
            nextScraper += 1
            let number = nextScraper
            scrapers[number] = Scraper(
                client, loop: loop, text: { [weak self] in self?.metricsText() ?? "" },
                ended: { [weak self] in self?.scrapers[number] = nil })
        }
    }
}

/// One scraper.
final class Scraper {
    static let most = 16
    private static let longestRequest = 8192
    /// Nanoseconds for all of it.
    private static let patience: UInt64 = 5_000_000_000

    private let descriptor: Descriptor
    private let loop: EventLoop
    private let text: () -> String
    private let ended: () -> Void
    private var watch: EventLoop.Watch?
    private var timer: EventLoop.Timer?
    private var request: [UInt8] = []
    private var answer: ArraySlice<UInt8> = []

    init(_ descriptor: consuming Descriptor, loop: EventLoop, text: @escaping () -> String, ended: @escaping () -> Void)
    {
        self.descriptor = descriptor
        self.loop = loop
        self.text = text
        self.ended = ended
        timer = loop.after(Self.patience) { [weak self] in self?.end() }
        watch = try? loop.watch(self.descriptor.raw, .readable) { [weak self] _ in self?.read() }
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        guard let count = try? Linux.read(descriptor.raw, into: &buffer), count > 0 else { return end() }
        request += buffer[..<count]
        let end: [UInt8] = [13, 10, 13, 10]
        let isWhole = request.indices.contains { request[$0...].starts(with: end) }
        guard isWhole || request.count > Self.longestRequest else { return }
        let body = Array(text().utf8)
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: \(prometheusMediaType)\r\nContent-Length: \(body.count)\r\n"
            + "Connection: close\r\n\r\n"
        answer = (Array(head.utf8) + body)[...]
        if let watch { loop.unwatch(watch) }
        watch = try? loop.watch(descriptor.raw, .writable) { [weak self] _ in self?.write() }
    }

    private func write() {
        do throws(Errno) { answer = answer.dropFirst(try Linux.write(descriptor.raw, answer)) } catch {
            if error != .again { return end() }
        }
        if answer.isEmpty { end() }
    }

    private func end() {
        if let watch { loop.unwatch(watch) }
        if let timer { loop.cancel(timer) }
        (watch, timer) = (nil, nil)
        ended()
    }
}
