/// Texts in UTF-8, changed scalar by scalar.
extension Array where Element == UInt8 {
  /// The text's scalars.
  var scalars: String.UnicodeScalarView { String(decoding: self, as: UTF8.self).unicodeScalars }

  /// Appends a scalar's bytes.
  mutating func append(_ scalar: Unicode.Scalar) {
    if scalar.value < 0x80 {
      append(UInt8(truncatingIfNeeded: scalar.value))
    } else {
      append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }
  }

  /// The text that a body appends for each scalar.
  func mappingScalars(_ body: (Unicode.Scalar, inout [UInt8]) -> Void) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    for scalar in scalars { body(scalar, &result) }
    return result
  }

  func filteringScalars(_ isKept: (Unicode.Scalar) -> Bool) -> [UInt8] {
    guard !allSatisfy({ $0 < 0x80 && isKept(Unicode.Scalar($0)) }) else { return self }
    return mappingScalars { scalar, result in if isKept(scalar) { result.append(scalar) } }
  }

  /// Each scalar's own lower case, whatever stands around it.
  func lowercased() -> [UInt8] {
    if allSatisfy({ $0 < 0x80 }) {
      return map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
    }
    return mappingScalars { scalar, result in
      if scalar.properties.changesWhenLowercased {
        result += scalar.properties.lowercaseMapping.utf8
      } else {
        result.append(scalar)
      }
    }
  }

  /// The text without the scalars at its ends that a condition names.
  func trimmed(left: Bool, right: Bool, _ isCut: (Unicode.Scalar) -> Bool) -> [UInt8] {
    var kept = scalars[...]
    if left { kept = kept.drop(while: isCut) }
    if right { while let last = kept.last, isCut(last) { kept.removeLast() } }
    return Array(String(kept).utf8)
  }
}

extension Unicode.Scalar.Properties {
  /// Whether the general category is one of the marks.
  var isMark: Bool {
    switch generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: true
    default: false
    }
  }
}
