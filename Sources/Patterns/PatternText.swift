/// A text and a program while one is matched against the other, without bounds checks.
///
/// The text is well-formed UTF-8 and every position is at the start of a scalar or the end.
struct PatternText {
  let code: UnsafePointer<PatternProgram.Instruction>
  let sets: UnsafeBufferPointer<ScalarSet>
  let bitmaps: UnsafePointer<UInt64>
  let firstBytes: UnsafePointer<ByteSet>
  /// By instruction its number among the choices.
  let choiceColumns: UnsafePointer<Int32>
  let choiceCount: Int
  let text: UnsafePointer<UInt8>
  let count: Int

  /// The length of the scalar at a position, if it belongs to a set; otherwise 0.
  @inline(__always)
  func length(at position: Int, in set: Int) -> Int {
    guard position < count else { return 0 }
    let byte = text[position]
    if byte < 0x80 {
      let word = bitmaps[set &* PatternProgram.bitmapWords &+ Int(byte >> 6)]
      return Int(word >> UInt64(byte & 63) & 1)
    }
    let (scalar, length) = scalar(at: position)
    if scalar < 0x1_0000 {
      let word = bitmaps[set &* PatternProgram.bitmapWords &+ Int(scalar >> 6)]
      return word >> UInt64(scalar & 63) & 1 == 0 ? 0 : length
    }
    return sets[set].contains(scalar) ? length : 0
  }

  @inline(__always)
  func scalar(at position: Int) -> (UInt32, Int) {
    func tail(_ offset: Int) -> UInt32 { UInt32(text[position &+ offset] & 0x3f) }
    let lead = UInt32(text[position])
    if lead < 0x80 { return (lead, 1) }
    if lead < 0xe0 { return ((lead & 0x1f) << 6 | tail(1), 2) }
    if lead < 0xf0 { return ((lead & 0x0f) << 12 | tail(1) << 6 | tail(2), 3) }
    return ((lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4)
  }

  @inline(__always)
  func previous(_ position: Int) -> Int {
    var position = position &- 1
    while text[position] & 0xc0 == 0x80 { position &-= 1 }
    return position
  }

  /// Whether a match that goes on at an instruction could begin at a position.
  @inline(__always)
  func canBegin(_ instruction: Int, at position: Int) -> Bool {
    position < count
      ? firstBytes[instruction].contains(text[position]) : firstBytes[instruction].containsEnd
  }

  func holds(_ anchor: Int32, at position: Int) -> Bool {
    let lineFeed = UInt8(ascii: "\n")
    switch PatternTree.Anchor(rawValue: anchor) {
    case .lineStart: return position == 0 || position < count && text[position - 1] == lineFeed
    case .lineEnd: return position == count || text[position] == lineFeed
    case .textStart: return position == 0
    case .textEnd: return position == count
    case .textEndOrLastBreak:
      return position == count || position == count - 1 && text[position] == lineFeed
    case .wordBoundary: return isWord(before: position) != isWord(at: position)
    case .noWordBoundary: return isWord(before: position) == isWord(at: position)
    case nil: return false
    }
  }

  /// Where a text of so many scalars begins that ends at a position.
  func start(of width: Int, before position: Int) -> Int? {
    var start = position
    for _ in 0..<width {
      guard start > 0 else { return nil }
      start = previous(start)
    }
    return start
  }

  private func isWord(at position: Int) -> Bool {
    position < count && UnicodeSets.onigurumaWord.contains(scalar(at: position).0)
  }

  private func isWord(before position: Int) -> Bool {
    position > 0 && isWord(at: previous(position))
  }
}
