import Synchronization

/// The ids of pieces met before, in bounded memory.
///
/// Each piece has one slot that its hash names: whoever comes later takes it.
struct WordCache: Sendable {
  private struct Slot {
    var hash: UInt64 = 0
    var text: UInt32 = 0
    var ids: UInt32 = 0
    var textCount: UInt16 = 0
    var idCount: UInt16 = 0
  }

  private var slots: [Slot] = .init(repeating: Slot(), count: 1 << 14)
  private var texts: [UInt8] = []
  private var ids: [Int32] = []

  /// Longer pieces seldom come again.
  static let longestText = 64
  private static let maximalBytes = 1 << 20

  /// Appends the ids of a piece, if it is known.
  @inline(__always)
  func append(_ piece: UnsafeBufferPointer<UInt8>, hash: UInt64, to result: inout [Int32]) -> Bool {
    let slot = slots[Int(hash >> 50)]
    guard slot.hash == hash, Int(slot.textCount) == piece.count else { return false }
    let start = Int(slot.text)
    for offset in 0..<piece.count where texts[start &+ offset] != piece[offset] { return false }
    if slot.idCount == 1 {
      result.append(ids[Int(slot.ids)])
    } else {
      result += ids[Int(slot.ids)..<Int(slot.ids) + Int(slot.idCount)]
    }
    return true
  }

  mutating func insert(
    _ piece: UnsafeBufferPointer<UInt8>,
    hash: UInt64,
    ids newIDs: ArraySlice<Int32>
  ) {
    guard newIDs.count <= Self.longestText else { return }
    if texts.count + piece.count > Self.maximalBytes || ids.count > Self.maximalBytes {
      slots = .init(repeating: Slot(), count: slots.count)
      texts.removeAll(keepingCapacity: true)
      ids.removeAll(keepingCapacity: true)
    }
    slots[Int(hash >> 50)] = Slot(
      hash: hash,
      text: UInt32(texts.count),
      ids: UInt32(ids.count),
      textCount: UInt16(piece.count),
      idCount: UInt16(newIDs.count)
    )
    texts += piece
    ids += newIDs
  }
}

/// What encoding needs besides the model, kept from call to call and lent to one at a time.
final class Workshop: Sendable {
  struct Bench: Sendable {
    var word = Word()
    var cache = WordCache()
  }

  private let benches = Mutex<[Bench]>([])

  func withBench<Result>(_ body: (inout Bench) -> Result) -> Result {
    var bench = benches.withLock { $0.popLast() } ?? Bench()
    defer { benches.withLock { [bench] in if $0.count < 16 { $0.append(bench) } } }
    return body(&bench)
  }
}
