/// The symbols of one piece while pairs of them are merged.
///
/// Short pieces are searched for their lowest rank each time; long ones keep a heap, so that a
/// piece of n symbols takes time n log n.
struct Word: Sendable {
  private var symbols: [Int32] = []
  /// By symbol the rank of the pair it begins, or `MergeTable.none`.
  private var ranks: [UInt32] = []
  private var next: [Int32] = []
  private var previous: [Int32] = []
  /// Rank above place: the lowest rank comes first, and of equal ones the leftmost.
  private var heap: [UInt64] = []

  private static let longest = 48

  mutating func removeAll() { symbols.removeAll(keepingCapacity: true) }

  mutating func append(_ symbol: Int32) { symbols.append(symbol) }

  /// Merges until no pair has a rank, and appends what is left.
  mutating func merge(by merges: borrowing MergeTable, into ids: inout [Int32]) {
    guard symbols.count > 1 else {
      ids += symbols
      return
    }
    ranks.removeAll(keepingCapacity: true)
    for place in 0..<symbols.count - 1 {
      ranks.append(merges.rank(symbols[place], symbols[place + 1]))
    }
    ranks.append(MergeTable.none)
    if symbols.count <= Self.longest {
      mergeShort(merges)
      ids += symbols
    } else {
      mergeLong(merges, into: &ids)
    }
  }

  private mutating func mergeShort(_ merges: borrowing MergeTable) {
    while true {
      var lowest = MergeTable.none
      var place = 0
      for (index, rank) in ranks.enumerated() where rank < lowest {
        (lowest, place) = (rank, index)
      }
      guard lowest != MergeTable.none else { return }
      symbols[place] = merges.results[Int(lowest)]
      symbols.remove(at: place + 1)
      ranks.remove(at: place + 1)
      if place + 1 < symbols.count {
        ranks[place] = merges.rank(symbols[place], symbols[place + 1])
      } else {
        ranks[place] = MergeTable.none
      }
      if place > 0 { ranks[place - 1] = merges.rank(symbols[place - 1], symbols[place]) }
    }
  }

  private mutating func mergeLong(_ merges: borrowing MergeTable, into ids: inout [Int32]) {
    let count = Int32(symbols.count)
    next = (1...count).map { $0 }
    previous = (-1..<count - 1).map { $0 }
    heap.removeAll(keepingCapacity: true)
    for (place, rank) in ranks.enumerated() where rank != MergeTable.none {
      heap.append(UInt64(rank) << 32 | UInt64(place))
    }
    heap.sort()  // Sorted is a heap.
    while let top = popHeap() {
      let place = Int(top & 0xffff_ffff)
      // What was merged since has another rank, or none.
      guard ranks[place] == UInt32(top >> 32) else { continue }
      let absorbed = Int(next[place])
      symbols[place] = merges.results[Int(ranks[place])]
      ranks[absorbed] = MergeTable.none
      next[place] = next[absorbed]
      if next[place] < count { previous[Int(next[place])] = Int32(place) }
      rank(place, merges)
      if previous[place] >= 0 { rank(Int(previous[place]), merges) }
    }
    var place: Int32 = 0
    while place < count {
      ids.append(symbols[Int(place)])
      place = next[Int(place)]
    }
  }

  private mutating func rank(_ place: Int, _ merges: borrowing MergeTable) {
    let right = Int(next[place])
    let rank = right < symbols.count ? merges.rank(symbols[place], symbols[right]) : MergeTable.none
    ranks[place] = rank
    if rank != MergeTable.none { pushHeap(UInt64(rank) << 32 | UInt64(place)) }
  }

  private mutating func pushHeap(_ value: UInt64) {
    heap.append(value)
    var child = heap.count - 1
    while child > 0, case let parent = (child - 1) / 2, heap[child] < heap[parent] {
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func popHeap() -> UInt64? {
    guard let last = heap.popLast() else { return nil }
    guard let top = heap.first else { return last }
    heap[0] = last
    var parent = 0
    while case var child = parent * 2 + 1, child < heap.count {
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < heap[parent] else { break }
      heap.swapAt(child, parent)
      parent = child
    }
    return top
  }
}
