/// Texts numbered in the order they came, found by their bytes.
struct ByteTable: Sendable {
  private var arena: [UInt8] = []
  /// Where each text starts in the arena; one more than there are texts.
  private var starts: [Int] = [0]
  // Open addressing: the text's number, or -1. Its size is a power of two.
  private var slots: [Int32]

  init(capacity: Int = 0) {
    var size = 64
    while size < capacity * 2 { size *= 2 }
    slots = .init(repeating: -1, count: size)
    starts.reserveCapacity(capacity + 1)
  }

  var count: Int { starts.count - 1 }

  subscript(_ index: Int) -> ArraySlice<UInt8> { arena[starts[index]..<starts[index + 1]] }

  /// The number of a text, or nil where it is not there.
  func index(of text: UnsafeBufferPointer<UInt8>) -> Int? {
    let index = slots[slot(of: text)]
    return index < 0 ? nil : Int(index)
  }

  func index(of text: [UInt8]) -> Int? { text.withUnsafeBufferPointer { text in index(of: text) } }

  /// Adds a text.
  ///
  /// - Returns: its number, and whether it was not there before.
  mutating func insert(_ text: some Sequence<UInt8>) -> (index: Int, isNew: Bool) {
    let start = arena.count
    arena.append(contentsOf: text)
    let slot = arena.withUnsafeBufferPointer { arena in
      self.slot(of: UnsafeBufferPointer(rebasing: arena[start...]))
    }
    if slots[slot] >= 0 {
      arena.removeLast(arena.count - start)
      return (Int(slots[slot]), false)
    }
    slots[slot] = Int32(count)
    starts.append(arena.count)
    if count * 2 > slots.count { grow() }
    return (count - 1, true)
  }

  private func slot(of text: UnsafeBufferPointer<UInt8>) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: ByteHash.hash(text)) & mask
    while slots[slot] >= 0, !isEqual(Int(slots[slot]), text) { slot = (slot + 1) & mask }
    return slot
  }

  private func isEqual(_ index: Int, _ text: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = starts[index]
    guard starts[index + 1] - start == text.count else { return false }
    return arena.withUnsafeBufferPointer { arena in
      for offset in 0..<text.count where arena[start + offset] != text[offset] { return false }
      return true
    }
  }

  private mutating func grow() {
    slots = .init(repeating: -1, count: slots.count * 2)
    arena.withUnsafeBufferPointer { arena in
      for index in 0..<count {
        let text = UnsafeBufferPointer(rebasing: arena[starts[index]..<starts[index + 1]])
        slots[slot(of: text)] = Int32(index)
      }
    }
  }
}

/// A quick hash with a seed of the process, so that no file can be made to collide.
enum ByteHash {
  private static let seed = UInt64.random(in: 0...UInt64.max) | 1
  private static let multiplier: UInt64 = 0x9e37_79b9_7f4a_7c15

  @inline(__always)
  static func mix(_ value: UInt64) -> UInt64 {
    let product = (value ^ seed).multipliedFullWidth(by: multiplier)
    return product.high ^ product.low
  }

  static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    let raw = UnsafeRawBufferPointer(bytes)
    var state = seed &+ UInt64(raw.count)
    var offset = 0
    while offset + 8 <= raw.count {
      state = mix(state ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &+ multiplier
      offset += 8
    }
    var tail: UInt64 = 0
    while offset < raw.count {
      tail = tail << 8 | UInt64(raw[offset])
      offset += 1
    }
    return mix(mix(state ^ tail))
  }
}
