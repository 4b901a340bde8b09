// The deadlines of a namespace: a binary heap whose entries know their places in it, so that each can be taken out.

struct Deadlines: Sendable {
    private struct Timer {
        var deadline: UInt64
        var slot: UInt32
    }

    private var heap: ContiguousArray<Timer> = []

    /// The earliest, and whose it is.
    var first: (deadline: UInt64, slot: UInt32)? { heap.first.map { ($0.deadline, $0.slot) } }

    var count: Int { heap.count }

    mutating func insert(_ deadline: UInt64, _ slot: UInt32, _ slots: inout Slots) {
        heap.append(Timer(deadline: deadline, slot: slot))
        rise(heap.count - 1, &slots)
    }

    mutating func remove(at place: UInt32, _ slots: inout Slots) {
        let place = Int(place)
        slots[heap[place].slot].timer = Slot.none
        let last = heap.removeLast()
        if place < heap.count {
            heap[place] = last
            rise(sink(place, &slots), &slots)
        }
        heap.shrink()
    }

    mutating func renumber(at place: UInt32, to slot: UInt32) { heap[Int(place)].slot = slot }

    private mutating func rise(_ start: Int, _ slots: inout Slots) {
        var place = start
        let timer = heap[place]
        while place > 0 {
            let parent = (place - 1) / 2
            if heap[parent].deadline <= timer.deadline { break }
            heap[place] = heap[parent]
            slots[heap[place].slot].timer = UInt32(place)
            place = parent
        }
        heap[place] = timer
        slots[timer.slot].timer = UInt32(place)
    }

    private mutating func sink(_ start: Int, _ slots: inout Slots) -> Int {
        var place = start
        let timer = heap[place]
        while true {
            var child = place * 2 + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].deadline < heap[child].deadline { child += 1 }
            if timer.deadline <= heap[child].deadline { break }
            heap[place] = heap[child]
            slots[heap[place].slot].timer = UInt32(place)
            place = child
        }
        heap[place] = timer
        slots[timer.slot].timer = UInt32(place)
        return place
    }
}
