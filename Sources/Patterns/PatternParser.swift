/// Reads a pattern in the syntax that `tokenizer.json` files use: Oniguruma's, without captures.
///
/// As there, `^` and `$` match at every line, `.` everything but a line feed, `(?m)` lets it match
/// that too, and `{m,n}+` repeats a repetition: only `?+`, `*+` and `++` are possessive.
struct PatternParser {
  let pattern: String
  let scalars: [Unicode.Scalar]
  var position = 0
  var flags = Flags()
  private var depth = 0

  struct Flags {
    var ignoresCase = false
    var dotMatchesLineFeed = false
  }

  private static let maximalDepth = 64
  private static let maximalCount = 1000

  init(_ pattern: String) {
    self.pattern = pattern
    scalars = Array(pattern.unicodeScalars)
  }

  static func parse(_ pattern: String) throws(PatternError) -> PatternTree {
    var parser = PatternParser(pattern)
    let tree = try parser.alternatives()
    guard parser.peek == nil else { throw parser.error("')' closes no group.") }
    return tree
  }

  var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  func error(_ message: String, at offset: Int? = nil) -> PatternError {
    PatternError(pattern: pattern, offset: offset ?? position, message: message)
  }

  /// Steps over a text, where it comes next.
  mutating func take(_ text: String) -> Bool {
    let wanted = text.unicodeScalars
    guard scalars[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  private mutating func alternatives() throws(PatternError) -> PatternTree {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximalDepth else {
      throw error("groups are nested deeper than \(Self.maximalDepth).")
    }
    // Flags set inside a group, as in `(?i)`, hold to its end.
    let outerFlags = flags
    defer { flags = outerFlags }
    var branches = [try sequence()]
    while take("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func sequence() throws(PatternError) -> PatternTree {
    var parts: [PatternTree] = []
    while let next = peek, next != "|", next != ")" {
      let start = position
      guard let part = try atom() else { continue }
      parts.append(try repeated(part, from: start))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  /// One part without its quantifier; nil for what only sets flags.
  private mutating func atom() throws(PatternError) -> PatternTree? {
    guard let scalar = peek else { throw error("ends where a part is needed.") }
    switch scalar {
    case "(":
      return try group()
    case "[":
      return .set(cased(try scalarClass()))
    case ".":
      position += 1
      return .set(flags.dotMatchesLineFeed ? .all : ScalarSet("\n").inverted)
    case "^":
      position += 1
      return .anchor(.lineStart)
    case "$":
      position += 1
      return .anchor(.lineEnd)
    case "\\":
      return try escape()
    case "?", "*", "+":
      throw error("'\(scalar)' has nothing to repeat.")
    default:
      position += 1
      return .set(cased(ScalarSet(scalar)))
    }
  }

  private func cased(_ set: ScalarSet) -> ScalarSet {
    flags.ignoresCase ? set.ignoringCase : set
  }

  private mutating func group() throws(PatternError) -> PatternTree? {
    let start = position
    position += 1
    let wrap: (PatternTree) -> PatternTree
    if take("?:") {
      wrap = { $0 }
    } else if take("?=") {
      wrap = { .look($0, ahead: true, negated: false) }
    } else if take("?!") {
      wrap = { .look($0, ahead: true, negated: true) }
    } else if take("?<=") {
      wrap = { .look($0, ahead: false, negated: false) }
    } else if take("?<!") {
      wrap = { .look($0, ahead: false, negated: true) }
    } else if take("?>") {
      wrap = { .atomic($0) }
    } else if take("?#") {
      while let next = peek, next != ")" { position += 1 }
      guard take(")") else { throw error("the comment is not closed.", at: start) }
      return nil
    } else if take("?<") || take("?P<") {
      while let next = peek, next != ">" { position += 1 }
      guard take(">") else { throw error("the group's name is not closed.", at: start) }
      wrap = { $0 }
    } else if take("?") {
      let outerFlags = flags
      guard try takeFlags() else { return nil }
      defer { flags = outerFlags }
      return try closed(try alternatives(), from: start)
    } else {
      wrap = { $0 }
    }
    return wrap(try closed(try alternatives(), from: start))
  }

  private mutating func closed(
    _ tree: PatternTree,
    from start: Int
  ) throws(PatternError) -> PatternTree {
    guard take(")") else { throw error("the group is not closed.", at: start) }
    return tree
  }

  /// Reads flags up to `:` or `)`.
  ///
  /// - Returns: whether a group follows for which alone they hold.
  private mutating func takeFlags() throws(PatternError) -> Bool {
    var isOn = true
    while let flag = peek {
      position += 1
      switch flag {
      case "-": isOn = false
      case "i": flags.ignoresCase = isOn
      case "m": flags.dotMatchesLineFeed = isOn
      case ":": return true
      case ")": return false
      default:
        throw error("'(?\(flag)' is not supported; flags known here: i, m.", at: position - 1)
      }
    }
    throw error("the group is not closed.")
  }

  private mutating func repeated(
    _ part: PatternTree,
    from start: Int
  ) throws(PatternError) -> PatternTree {
    var part = part
    var layers = 0
    while let (count, isInterval) = try quantifier() {
      layers += 1
      guard layers <= 4 else { throw error("more than 4 quantifiers follow one part.", at: start) }
      if take("?") {
        // Oniguruma reads `x{n}?` as an optional `x{n}`.
        part =
          isInterval && count.lowerBound == count.upperBound
          ? .repetition(
            .repetition(part, count: count, isGreedy: true),
            count: 0...1,
            isGreedy: true
          )
          : .repetition(part, count: count, isGreedy: false)
      } else if !isInterval, take("+") {
        part = .atomic(.repetition(part, count: count, isGreedy: true))
      } else {
        part = .repetition(part, count: count, isGreedy: true)
      }
    }
    return part
  }

  private mutating func quantifier() throws(PatternError) -> (ClosedRange<Int>, Bool)? {
    if take("?") { return (0...1, false) }
    if take("*") { return (0...PatternTree.unbounded, false) }
    if take("+") { return (1...PatternTree.unbounded, false) }
    guard peek == "{" else { return nil }
    let start = position
    position += 1
    let low = number()
    let hasComma = take(",")
    let high = hasComma ? number() : low
    guard take("}"), low != nil || high != nil else {
      // As everywhere in this syntax, a brace that is no quantifier stands for itself.
      position = start
      return nil
    }
    let lower = low ?? 0
    let upper = high ?? PatternTree.unbounded
    guard lower <= upper, lower <= Self.maximalCount, high.map({ $0 <= Self.maximalCount }) ?? true
    else {
      throw error("the counts need to rise and be at most \(Self.maximalCount).", at: start)
    }
    return (lower...upper, true)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let digit = peek, ("0"..."9").contains(digit) {
      value = min((value ?? 0) * 10 + Int(digit.value - 0x30), Self.maximalCount + 1)
      position += 1
    }
    return value
  }

  private mutating func escape() throws(PatternError) -> PatternTree {
    let start = position
    position += 1
    switch peek {
    case "A": return anchor(.textStart)
    case "z": return anchor(.textEnd)
    case "Z": return anchor(.textEndOrLastBreak)
    case "b": return anchor(.wordBoundary)
    case "B": return anchor(.noWordBoundary)
    default: return .set(cased(try escapedSet(from: start)))
    }
  }

  private mutating func anchor(_ anchor: PatternTree.Anchor) -> PatternTree {
    position += 1
    return .anchor(anchor)
  }
}
