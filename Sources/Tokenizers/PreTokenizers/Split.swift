/// Splits every piece at the matches of a pattern.
struct Split: Sendable {
  let pattern: TextPattern
  let behavior: Behavior
  /// What does not match counts as the matches.
  var isInverted = false

  /// What becomes of a match.
  enum Behavior: String, Sendable, CaseIterable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    /// Matches and others, each joined with neighbours of its kind.
    case contiguous = "Contiguous"

    init(_ fields: Fields, default fallback: Behavior? = nil) throws(TokenizerError) {
      if let fallback, fields.optional("behavior") == nil {
        self = fallback
        return
      }
      let name = try fields.string("behavior")
      guard let behavior = Behavior(rawValue: name) else {
        let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
        throw fields.error(at: "behavior", "'\(name)' is not supported; known here: \(known).")
      }
      self = behavior
    }
  }

  func apply(to pieces: inout Pieces) {
    var spans: [Range<Int>] = []
    spans.reserveCapacity(pieces.spans.count)
    pieces.bytes.withUnsafeBufferPointer { bytes in
      for piece in pieces.spans {
        split(UnsafeBufferPointer(rebasing: bytes[piece]), at: piece.lowerBound, into: &spans)
      }
    }
    pieces.spans = spans
  }

  private func split(
    _ text: UnsafeBufferPointer<UInt8>,
    at offset: Int,
    into spans: inout [Range<Int>]
  ) {
    var joiner = Joiner(behavior: behavior)
    var position = 0
    pattern.forEachMatch(in: text) { start, end in
      if position < start {
        joiner.add(offset + position..<offset + start, isMatch: isInverted, to: &spans)
      }
      joiner.add(offset + start..<offset + end, isMatch: !isInverted, to: &spans)
      position = end
    }
    if position < text.count {
      joiner.add(offset + position..<offset + text.count, isMatch: isInverted, to: &spans)
    }
    joiner.finish(&spans)
  }
}

/// Puts the matches of one piece and the texts between them together.
private struct Joiner {
  let behavior: Split.Behavior
  private var count = 0
  private var lastWasMatch = false
  /// A match that waits for what it is merged with.
  private var waiting: Range<Int>?

  init(behavior: Split.Behavior) {
    self.behavior = behavior
  }

  mutating func add(_ span: Range<Int>, isMatch: Bool, to spans: inout [Range<Int>]) {
    switch behavior {
    case .isolated:
      append(span, to: &spans)
    case .removed:
      if !isMatch { append(span, to: &spans) }
    case .mergedWithPrevious:
      if isMatch, !lastWasMatch, count > 0 {
        extend(to: span.upperBound, &spans)
      } else {
        append(span, to: &spans)
      }
    case .contiguous:
      if isMatch == lastWasMatch, count > 0 {
        extend(to: span.upperBound, &spans)
      } else {
        append(span, to: &spans)
      }
    case .mergedWithNext:
      // Of several matches in a row the last is merged.
      if isMatch {
        finish(&spans)
        waiting = span
      } else {
        append((waiting?.lowerBound ?? span.lowerBound)..<span.upperBound, to: &spans)
        waiting = nil
      }
    }
    lastWasMatch = isMatch
  }

  mutating func finish(_ spans: inout [Range<Int>]) {
    if let waiting { append(waiting, to: &spans) }
    waiting = nil
  }

  private mutating func append(_ span: Range<Int>, to spans: inout [Range<Int>]) {
    guard !span.isEmpty else { return }
    spans.append(span)
    count += 1
  }

  private func extend(to end: Int, _ spans: inout [Range<Int>]) {
    spans[spans.count - 1] = spans[spans.count - 1].lowerBound..<end
  }
}
