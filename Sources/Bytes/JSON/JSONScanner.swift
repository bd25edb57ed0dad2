/// Pulls the parts of a JSON text one by one, strictly by RFC 8259, without making a tree.
///
/// It stands on raw bytes, which must live as long as the scanner is used. Objects and arrays are
/// walked by `beginObject`, then `nextKey` until it gives nil; `beginArray`, then `nextElement`
/// until it gives false.
package struct JSONScanner {
  /// The kind of value that comes next.
  package enum Kind {
    case null, bool, number, string, array, object
  }

  /// The offset of the next byte.
  package private(set) var offset = 0

  let bytes: UnsafeRawBufferPointer
  private var depthLeft: Int
  private var isAtFirst = false

  /// Makes a scanner at the start of a text.
  ///
  /// - Parameters:
  ///   - bytes: the text; it must live as long as the scanner is used.
  ///   - depth: how deep arrays and objects may be nested.
  package init(_ bytes: UnsafeRawBufferPointer, depth: Int) {
    self.bytes = bytes
    depthLeft = depth
  }

  /// Looks at what kind of value comes next, behind white space.
  package mutating func kind() throws(JSONError) -> Kind {
    skipWhitespace()
    switch next {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    default: throw misfit("a value")
    }
  }

  /// Steps into an object.
  package mutating func beginObject() throws(JSONError) {
    try begin(UInt8(ascii: "{"), "an object")
  }

  /// Steps to the next member of an object and over its name and colon.
  ///
  /// - Returns: the name, or nil behind the last member, when the object is left.
  package mutating func nextKey() throws(JSONError) -> String? {
    guard try advance(to: UInt8(ascii: "}")) else { return nil }
    skipWhitespace()
    guard next == UInt8(ascii: "\"") else { throw misfit("a key in double quotes") }
    let key = try string()
    try take(UInt8(ascii: ":"))
    return key
  }

  /// Steps into an array.
  package mutating func beginArray() throws(JSONError) {
    try begin(UInt8(ascii: "["), "an array")
  }

  /// Steps to the next element of an array.
  ///
  /// - Returns: false behind the last element, when the array is left.
  package mutating func nextElement() throws(JSONError) -> Bool {
    try advance(to: UInt8(ascii: "]"))
  }

  /// Reads `null`.
  package mutating func null() throws(JSONError) {
    try word("null")
  }

  /// Reads `true` or `false`.
  package mutating func bool() throws(JSONError) -> Bool {
    skipWhitespace()
    let isTrue = next == UInt8(ascii: "t")
    try word(isTrue ? "true" : "false")
    return isTrue
  }

  /// Reads a number as it is written.
  package mutating func number() throws(JSONError) -> JSONNumber {
    skipWhitespace()
    let start = offset
    if next == UInt8(ascii: "-") { offset += 1 }
    if next == UInt8(ascii: "0") {
      offset += 1
      guard !isAtDigit else { throw error("a number may not start with a zero.", at: start) }
    } else {
      try digits()
    }
    if next == UInt8(ascii: ".") {
      offset += 1
      try digits()
    }
    if next | 0x20 == UInt8(ascii: "e") {
      offset += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
      try digits()
    }
    return JSONNumber(checked: String(decoding: bytes[start..<offset], as: UTF8.self))
  }

  /// Reads a number that must be written as a whole number of 0 to 2⁶⁴ − 1, without a sign.
  package mutating func unsignedInteger() throws(JSONError) -> UInt64 {
    skipWhitespace()
    guard isAtDigit || next == UInt8(ascii: "-") else { throw misfit("a number") }
    let start = offset
    var value: UInt64 = 0
    var isTooLarge = false
    while isAtDigit {
      let (tens, overflowTens) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow) = tens.addingReportingOverflow(UInt64(next - UInt8(ascii: "0")))
      isTooLarge = isTooLarge || overflowTens || overflow
      value = sum
      offset += 1
    }
    let isPlain = offset > start && next != UInt8(ascii: ".") && next | 0x20 != UInt8(ascii: "e")
    let hasLeadingZero = offset > start + 1 && bytes[start] == UInt8(ascii: "0")
    guard isPlain, !isTooLarge, !hasLeadingZero else {
      offset = start
      let number = try number()
      throw error("found \(number), where a whole number of 0 to 2^64 - 1 was needed.", at: start)
    }
    return value
  }

  /// Checks that nothing but white space is left.
  package mutating func end() throws(JSONError) {
    skipWhitespace()
    guard offset == bytes.count else { throw misfit("the end of the text") }
  }
}

extension JSONScanner {
  /// The next byte; zero, which no rule takes, at the end of the text.
  var next: UInt8 { offset < bytes.count ? bytes[offset] : 0 }

  /// Steps over bytes that were looked at.
  mutating func step(_ count: Int = 1) {
    offset += count
  }

  mutating func skipWhitespace() {
    while true {
      switch next {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"):
        offset += 1
      default:
        return
      }
    }
  }

  /// A fault at an offset, or at the next byte.
  package func error(_ message: String, at place: Int? = nil) -> JSONError {
    JSONError(in: bytes, at: place ?? offset, message)
  }

  /// The fault that the next byte does not fit.
  func misfit(_ needed: String) -> JSONError {
    let found =
      switch (offset == bytes.count, next) {
      case (true, _): "the end of the text"
      case (_, 0x21..<0x7f): "'\(Unicode.Scalar(next))'"
      case (_, 0xef) where offset == 0: "a byte order mark or other text"
      default: "the byte 0x\(String(next, radix: 16))"
      }
    return error("found \(found), where \(needed) was needed.")
  }

  private var isAtDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= next }

  private mutating func digits() throws(JSONError) {
    guard isAtDigit else { throw misfit("a digit") }
    while isAtDigit { offset += 1 }
  }

  private mutating func take(_ byte: UInt8) throws(JSONError) {
    skipWhitespace()
    guard next == byte else { throw misfit("'\(Unicode.Scalar(byte))'") }
    offset += 1
  }

  private mutating func word(_ word: StaticString) throws(JSONError) {
    skipWhitespace()
    for index in 0..<word.utf8CodeUnitCount {
      guard next == word.utf8Start[index] else { throw misfit("'\(word)'") }
      offset += 1
    }
  }

  private mutating func begin(_ bracket: UInt8, _ needed: String) throws(JSONError) {
    skipWhitespace()
    guard next == bracket else { throw misfit(needed) }
    guard depthLeft > 0 else { throw error("arrays and objects are nested too deep.") }
    depthLeft -= 1
    offset += 1
    isAtFirst = true
  }

  /// Steps over a comma to the next part, or over the closing bracket.
  private mutating func advance(to bracket: UInt8) throws(JSONError) -> Bool {
    skipWhitespace()
    let isFirst = isAtFirst
    isAtFirst = false
    if next == bracket {
      offset += 1
      depthLeft += 1
      return false
    }
    if !isFirst {
      guard next == UInt8(ascii: ",") else {
        throw misfit("',' or '\(Unicode.Scalar(bracket))'")
      }
      offset += 1
    }
    return true
  }
}
