/// The merges of a byte-pair encoding: for a pair of ids the rank and the id it becomes.
struct MergeTable: Sendable {
  // Open addressing; a rank of `none` marks an empty slot. Sizes are powers of two.
  private var keys: [UInt64]
  private var ranks: [UInt32]
  /// By rank the id that a pair becomes.
  private(set) var results: [Int32] = []

  static let none = UInt32.max

  init(capacity: Int) {
    var size = 64
    while size < capacity * 2 { size *= 2 }
    keys = .init(repeating: 0, count: size)
    ranks = .init(repeating: Self.none, count: size)
    results.reserveCapacity(capacity)
  }

  /// Adds a merge of the next rank; of a pair that is there already the later rank holds.
  mutating func append(_ left: Int32, _ right: Int32, result: Int32) {
    precondition(results.count * 2 < keys.count, "more merges than the table was made for")
    let key = Self.key(left, right)
    let slot = slot(of: key)
    keys[slot] = key
    ranks[slot] = UInt32(results.count)
    results.append(result)
  }

  /// The rank of a pair, or `none`.
  @inline(__always)
  func rank(_ left: Int32, _ right: Int32) -> UInt32 { ranks[slot(of: Self.key(left, right))] }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(of key: UInt64) -> Int {
    let mask = keys.count &- 1
    var slot = Int(truncatingIfNeeded: ByteHash.mix(key)) & mask
    while ranks[slot] != Self.none, keys[slot] != key { slot = (slot &+ 1) & mask }
    return slot
  }
}
