extension JSONScanner {
  /// Reads a string: valid UTF-8, no raw control characters, surrogates only in pairs.
  package mutating func string() throws(JSONError) -> String {
    skipWhitespace()
    guard next == UInt8(ascii: "\"") else { throw misfit("a string") }
    step()
    let start = offset
    let isASCII = skipPlain()
    if next == UInt8(ascii: "\"") {
      defer { step() }
      let plain = UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
      return isASCII ? String(decoding: plain, as: UTF8.self) : try text(plain, from: start)
    }
    var unescaped = Array(bytes[start..<offset])
    while next != UInt8(ascii: "\"") {
      guard next == UInt8(ascii: "\\") else {
        throw misfit("'\"' or a character of the string")
      }
      try appendEscaped(to: &unescaped)
      let plain = offset
      skipPlain()
      unescaped.append(contentsOf: bytes[plain..<offset])
    }
    step()
    return try text(unescaped, from: start)
  }

  /// Checks that bytes are UTF-8.
  private func text(
    _ bytes: some Sequence<UInt8>,
    from start: Int
  ) throws(JSONError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw error("the string that starts here is not UTF-8.", at: start)
    }
    return text
  }

  /// Steps over bytes of a string up to a quote, a backslash or a control character, and tells
  /// whether all of them are ASCII.
  ///
  /// Eight bytes are looked at together: subtracting 1 from each byte of `word ^ pattern` borrows
  /// into the high bit where the byte is zero; `& ~word` leaves out bytes that had it set before.
  /// Borrows may flag bytes above a true hit only, so the lowest flag is exact.
  @discardableResult
  private mutating func skipPlain() -> Bool {
    var seen: UInt64 = 0
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    while offset + 8 <= bytes.count {
      let word = UInt64(
        littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      )
      let quotes = word ^ ones &* UInt64(UInt8(ascii: "\""))
      let slashes = word ^ ones &* UInt64(UInt8(ascii: "\\"))
      let found =
        (quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes
        | (word &- ones &* 0x20) & ~word
      guard found & highs == 0 else {
        let plain = (found & highs).trailingZeroBitCount / 8
        // Shifting by 64 where nothing is plain leaves nothing.
        seen |= word << UInt64(64 - plain * 8)
        step(plain)
        return seen & highs == 0
      }
      seen |= word
      step(8)
    }
    while next >= 0x20, next != UInt8(ascii: "\""), next != UInt8(ascii: "\\") {
      seen |= UInt64(next)
      step()
    }
    return seen & highs == 0
  }

  private mutating func appendEscaped(to text: inout [UInt8]) throws(JSONError) {
    step()
    switch next {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(next)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      step()
      text.append(contentsOf: UTF8.encode(try escapedScalar()) ?? .init())
      return
    default: throw misfit("one of \"\\/bfnrtu behind the backslash")
    }
    step()
  }

  /// Reads the digits behind `\u`, and a second `\u` where the first is half of a pair.
  private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
    let start = offset - 2
    let first = try hexadecimals()
    if let scalar = Unicode.Scalar(first) { return scalar }
    if UTF16.isLeadSurrogate(first), next == UInt8(ascii: "\\") {
      step()
      if next == UInt8(ascii: "u") {
        step()
        let second = try hexadecimals()
        if UTF16.isTrailSurrogate(second) {
          let pair = 0x1_0000 + (UInt32(first) & 0x3ff) << 10 + UInt32(second) & 0x3ff
          if let scalar = Unicode.Scalar(pair) { return scalar }
        }
      }
    }
    throw error("this surrogate has no partner; a pair of them stands for a character.", at: start)
  }

  private mutating func hexadecimals() throws(JSONError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(next)).hexDigitValue else {
        throw misfit("a hexadecimal digit")
      }
      value = value << 4 | UInt16(digit)
      step()
    }
    return value
  }
}
