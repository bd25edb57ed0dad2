/// Finds the places of names in a list that the owner keeps, without a copy of them.
///
/// An open hash table of 8 bytes a slot: a checkpoint may hold a million names, and a dictionary of
/// them would take longer and more memory than all else that is known about the tensors.
package struct NameTable: Sendable {
  // The upper 32 bits of a slot are those of the name's hash, so that few names are looked at in
  // vain; the lower are its place plus 1. Slots that are zero are free.
  private var slots: [UInt64] = []
  private var count = 0

  /// Makes a table of no names.
  package init() {}

  /// Makes room for so many names at once.
  package mutating func reserveCapacity(_ count: Int, names: [TensorName]) {
    let needed = max(count, self.count) + max(count, self.count) / 2 + 1
    guard needed > slots.count else { return }
    var slotCount = 16
    while slotCount < needed { slotCount *= 2 }
    slots = [UInt64](repeating: 0, count: slotCount)
    for place in 0..<self.count {
      let hash = Self.hash(of: names[place])
      slots[freeSlot(for: hash)] = hash & Self.hashBits | UInt64(place + 1)
    }
  }

  /// The place of a name in the list, or nil where it is not there.
  package func place(of name: TensorName, in names: [TensorName]) -> Int? {
    guard count > 0 else { return nil }
    return place(of: name, hash: Self.hash(of: name), in: names)
  }

  /// Notes the name at the next place of the list.
  ///
  /// - Returns: the place of the same name before it, and nothing is noted then; else nil.
  package mutating func append(_ name: TensorName, in names: [TensorName]) -> Int? {
    if count + count / 2 + 1 >= slots.count {
      reserveCapacity(max(count * 2, 8), names: names)
    }
    let hash = Self.hash(of: name)
    if let earlier = place(of: name, hash: hash, in: names) { return earlier }
    slots[freeSlot(for: hash)] = hash & Self.hashBits | UInt64(count + 1)
    count += 1
    return nil
  }

  private static let hashBits: UInt64 = 0xffff_ffff << 32

  private static func hash(of name: TensorName) -> UInt64 {
    // Seeded at random in each process: names cannot be made up to collide.
    UInt64(truncatingIfNeeded: name.hashValue)
  }

  private func place(of name: TensorName, hash: UInt64, in names: [TensorName]) -> Int? {
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let place = Int(truncatingIfNeeded: slots[slot] & ~Self.hashBits) - 1
      if slots[slot] & Self.hashBits == hash & Self.hashBits, names[place] == name { return place }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private func freeSlot(for hash: UInt64) -> Int {
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    return slot
  }
}
