extension PatternParser {
  /// Reads a class such as `[^\s\p{L}a-z&&[:ascii:]]`; the position is at its bracket.
  ///
  /// An inner class is read by the same code: `depth` bounds how deep they nest.
  mutating func scalarClass(depth: Int = 0) throws(PatternError) -> ScalarSet {
    let start = position
    guard depth < 16 else { throw error("classes are nested deeper than 16.") }
    position += 1
    let isNegated = take("^")
    var intersected: ScalarSet?
    var ranges: [ClosedRange<UInt32>] = []
    var isFirst = true
    while let next = peek, next != "]" || isFirst {
      isFirst = false
      if take("&&") {
        let left = ScalarSet(ranges)
        intersected = intersected.map { $0.intersection(left) } ?? left
        ranges = []
        continue
      }
      if next == "[" {
        let posix = try posixClass()
        let inner = if let posix { posix } else { try scalarClass(depth: depth + 1) }
        ranges += inner.ranges
        continue
      }
      let low = try member()
      guard let lower = low.single, peek == "-", let end = following, end != "]" else {
        ranges += low.ranges
        continue
      }
      let dash = position
      position += 1
      guard end != "[", let upper = try member().single else {
        throw error("a range ends in a class; one character is needed.", at: dash)
      }
      guard lower <= upper else { throw error("the range falls; it needs to rise.", at: dash) }
      ranges.append(lower.value...upper.value)
    }
    guard take("]") else { throw error("the class is not closed.", at: start) }
    let last = ScalarSet(ranges)
    let set = intersected.map { $0.intersection(last) } ?? last
    return isNegated ? set.inverted : set
  }

  private var following: Unicode.Scalar? {
    position + 1 < scalars.count ? scalars[position + 1] : nil
  }

  private mutating func member() throws(PatternError) -> ScalarSet {
    guard let scalar = peek else { throw error("the class is not closed.") }
    let start = position
    position += 1
    guard scalar == "\\" else { return ScalarSet(scalar) }
    if take("b") { return ScalarSet("\u{8}") }
    return try escapedSet(from: start)
  }

  /// Reads `[:name:]` or `[:^name:]`, where one comes next.
  private mutating func posixClass() throws(PatternError) -> ScalarSet? {
    let start = position
    guard take("[:") else { return nil }
    let isNegated = take("^")
    var name = ""
    while let next = peek, next.properties.isAlphabetic {
      name.unicodeScalars.append(next)
      position += 1
    }
    guard take(":]") else {
      position = start
      return nil
    }
    let set: ScalarSet? =
      switch name {
      case "alnum": UnicodeSets.alphabetic.union(UnicodeSets.digits)
      case "digit": UnicodeSets.digits
      case "punct": UnicodeSets.named("P")?.union(ScalarSet("$+<=>^`|~"))
      case "upper": UnicodeSets.named("Lu")
      case "lower": UnicodeSets.named("Ll")
      case "xdigit": UnicodeSets.hexDigits
      case "blank": UnicodeSets.named("Zs")?.union(ScalarSet("\t"))
      case "cntrl": UnicodeSets.named("Cc")
      case "ascii": ScalarSet([0...0x7f])
      default: UnicodeSets.named(name)
      }
    guard let set else { throw error("the class '[:\(name):]' is not supported.", at: start) }
    return isNegated ? set.inverted : set
  }

  /// Reads an escape that stands for one scalar or a set; the position is behind its backslash.
  mutating func escapedSet(from start: Int) throws(PatternError) -> ScalarSet {
    guard let scalar = peek else {
      throw error("ends in a backslash; a character is needed behind it.", at: start)
    }
    position += 1
    switch scalar {
    case "n": return ScalarSet("\n")
    case "r": return ScalarSet("\r")
    case "t": return ScalarSet("\t")
    case "f": return ScalarSet("\u{c}")
    case "v": return ScalarSet("\u{b}")
    case "a": return ScalarSet("\u{7}")
    case "e": return ScalarSet("\u{1b}")
    case "d": return UnicodeSets.digits
    case "D": return UnicodeSets.digits.inverted
    case "s": return UnicodeSets.whitespace
    case "S": return UnicodeSets.whitespace.inverted
    case "w": return UnicodeSets.onigurumaWord
    case "W": return UnicodeSets.onigurumaWord.inverted
    case "h": return UnicodeSets.hexDigits
    case "H": return UnicodeSets.hexDigits.inverted
    case "p", "P": return try property(isNegated: scalar == "P", from: start)
    case "x": return try hexadecimal(2, from: start)
    case "u": return try hexadecimal(4, from: start)
    case "0"..."9", "a"..."z", "A"..."Z":
      throw error("'\\\(scalar)' is not supported.", at: start)
    default: return ScalarSet(scalar)
    }
  }

  private mutating func property(
    isNegated: Bool,
    from start: Int
  ) throws(PatternError) -> ScalarSet {
    var isNegated = isNegated
    var name = ""
    if take("{") {
      if take("^") { isNegated.toggle() }
      while let next = peek, next != "}" {
        name.unicodeScalars.append(next)
        position += 1
      }
      guard take("}") else { throw error("the property is not closed.", at: start) }
    } else if let short = peek {
      name.unicodeScalars.append(short)
      position += 1
    }
    guard let set = UnicodeSets.named(name) else {
      throw error("the property '\(name)' is not supported.", at: start)
    }
    return isNegated ? set.inverted : set
  }

  private mutating func hexadecimal(_ digits: Int, from start: Int) throws(PatternError)
    -> ScalarSet
  {
    let isBraced = digits == 2 && take("{")
    var text = ""
    while let digit = peek, digit.properties.isASCIIHexDigit,
      text.utf8.count < (isBraced ? 8 : digits)
    {
      text.unicodeScalars.append(digit)
      position += 1
    }
    guard !isBraced || take("}"), let scalar = UInt32(text, radix: 16).flatMap(Unicode.Scalar.init)
    else {
      throw error("hexadecimal digits of a character are needed here.", at: start)
    }
    return ScalarSet(scalar)
  }
}
