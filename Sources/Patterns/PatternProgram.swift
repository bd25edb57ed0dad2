/// A pattern as instructions for the matchers.
struct PatternProgram: Sendable {
  /// What to do, with up to two operands.
  struct Instruction: Sendable, Hashable {
    var operation: Operation
    var first: Int32 = 0
    var second: Int32 = 0
  }

  enum Operation: UInt8, Sendable {
    /// One byte, equal to `first`.
    case byte
    /// One scalar of the set `first`.
    case set
    /// As many scalars of the set `first` as there are, fewer when what follows needs it.
    case star
    /// As many scalars of the set `first` as there are.
    case possessiveStar
    /// Goes on at `first`, or, if that comes to nothing, at `second`.
    case split
    /// Goes on at `first`.
    case jump
    /// The code behind this, up to its `accept`, matches once; goes on at `first` behind its match.
    case atomic
    /// The code behind this matches here (or not, if `second` says so); goes on at `first`.
    case lookAhead
    /// The same for the text that ends here; `second` holds the width in scalars times two, plus
    /// one if it must not match.
    case lookBehind
    /// The position is as `first`, a `PatternTree.Anchor`, says.
    case anchor
    case accept
    case fail
  }

  var code: [Instruction] = []
  var sets: [ScalarSet] = []
  /// For each set one bit for each scalar below 0x10000: 1024 words a set.
  var bitmaps: [UInt64] = []
  /// For each instruction the bytes with which a match from there on can begin.
  var firstBytes: [ByteSet] = []
  /// For each instruction that leaves a choice its number among those.
  var choiceColumns: [Int32] = []
  var choiceCount = 0

  static let bitmapWords = 1024
}

/// A set of byte values, and whether the end of the text counts as one.
package struct ByteSet: Sendable, Hashable {
  @usableFromInline private(set) var words: SIMD4<UInt64> = .zero
  private(set) var containsEnd = false

  /// Makes an empty set.
  package init() {}

  static let all: ByteSet = {
    var set = ByteSet()
    set.words = .init(repeating: .max)
    set.containsEnd = true
    return set
  }()

  /// Whether a byte is in the set.
  @inlinable @inline(__always)
  package func contains(_ byte: UInt8) -> Bool {
    words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 != 0
  }

  /// Adds a byte.
  package mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }

  /// Adds the bytes with which the UTF-8 forms of a set's scalars begin.
  mutating func insertLeads(of set: ScalarSet) {
    for range in set.ranges {
      for byte in lead(range.lowerBound)...lead(range.upperBound) { insert(byte) }
    }
  }

  mutating func formUnion(_ other: ByteSet) {
    words |= other.words
    containsEnd = containsEnd || other.containsEnd
  }

  func isDisjoint(with other: ByteSet) -> Bool {
    (words & other.words) == .zero && !(containsEnd && other.containsEnd)
  }

  private func lead(_ scalar: UInt32) -> UInt8 {
    switch scalar {
    case ..<0x80: UInt8(scalar)
    case ..<0x800: UInt8(0xc0 | scalar >> 6)
    case ..<0x1_0000: UInt8(0xe0 | scalar >> 12)
    default: UInt8(0xf0 | scalar >> 18)
    }
  }
}
