/// What a pattern says, as a tree.
indirect enum PatternTree: Sendable {
  case set(ScalarSet)
  case sequence([PatternTree])
  case alternatives([PatternTree])
  case repetition(PatternTree, count: ClosedRange<Int>, isGreedy: Bool)
  /// Matched once, without going back into it; possessive repetitions are this.
  case atomic(PatternTree)
  case look(PatternTree, ahead: Bool, negated: Bool)
  case anchor(Anchor)

  enum Anchor: Int32, Sendable {
    case lineStart, lineEnd, textStart, textEnd, textEndOrLastBreak
    case wordBoundary, noWordBoundary
  }

  static let empty = sequence([])

  /// The upper count of a repetition without bound.
  static let unbounded = Int.max

  /// Whether the empty text matches somewhere.
  var canBeEmpty: Bool {
    switch self {
    case .set: false
    case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
    case .alternatives(let parts): parts.contains(where: \.canBeEmpty)
    case .repetition(let part, let count, _): count.lowerBound == 0 || part.canBeEmpty
    case .atomic(let part): part.canBeEmpty
    case .look, .anchor: true
    }
  }

  /// How many scalars every match has, where that is one number.
  var width: Int? {
    switch self {
    case .set: return 1
    case .sequence(let parts):
      return parts.reduce(0 as Int?) { sum, part in
        guard let sum, let width = part.width else { return nil }
        let (total, overflow) = sum.addingReportingOverflow(width)
        return overflow ? nil : total
      }
    case .alternatives(let parts):
      let widths = parts.map(\.width)
      return widths.allSatisfy { $0 == widths.first } ? widths.first ?? 0 : nil
    case .repetition(let part, let count, _):
      guard count.lowerBound == count.upperBound, let width = part.width else { return nil }
      let (total, overflow) = width.multipliedReportingOverflow(by: count.lowerBound)
      return overflow ? nil : total
    case .atomic(let part): return part.width
    case .look, .anchor: return 0
    }
  }
}

/// What in a pattern is not supported or not well formed.
package struct PatternError: Error, Hashable {
  package let pattern: String
  /// In scalars from the start of the pattern.
  package let offset: Int
  package let message: String
}
