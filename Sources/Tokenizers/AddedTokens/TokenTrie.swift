import KaratPatterns

/// Finds the longest of many texts that begins at a place.
struct TokenTrie: Sendable {
  /// Bounds the time for one place.
  static let longestToken = 1024

  /// By node times 256 plus byte the node that follows.
  private var children: [Int: Int] = [:]
  /// By node the value of the text that ends there.
  private var values: [Int?] = [nil]
  private var firstBytes = ByteSet()

  var isEmpty: Bool { values.count == 1 }

  mutating func insert(_ text: some Sequence<UInt8>, value: Int) {
    var node = 0
    for byte in text {
      if node == 0 { firstBytes.insert(byte) }
      let key = node << 8 | Int(byte)
      if let child = children[key] {
        node = child
      } else {
        values.append(nil)
        children[key] = values.count - 1
        node = values.count - 1
      }
    }
    // The root has no value: an empty text is found nowhere.
    if node != 0, values[node] == nil { values[node] = value }
  }

  /// The next match: leftmost, and of those at one place the longest.
  func nextMatch(
    in text: UnsafeBufferPointer<UInt8>,
    from start: Int
  ) -> (range: Range<Int>, value: Int)? {
    var place = start
    while place < text.count {
      if firstBytes.contains(text[place]), let match = match(in: text, at: place) { return match }
      place += 1
    }
    return nil
  }

  private func match(
    in text: UnsafeBufferPointer<UInt8>,
    at start: Int
  ) -> (range: Range<Int>, value: Int)? {
    var node = 0
    var place = start
    var longest: (Range<Int>, Int)?
    while place < text.count, let child = children[node << 8 | Int(text[place])] {
      node = child
      place += 1
      if let value = values[node] { longest = (start..<place, value) }
    }
    return longest
  }
}
