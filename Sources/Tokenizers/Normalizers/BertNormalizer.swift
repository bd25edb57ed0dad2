/// What BERT does to a text: no control characters, one kind of space, spaces around ideographs,
/// no accents, lower case.
struct BertNormalizer: Sendable {
  let cleansText: Bool
  let spacesIdeographs: Bool
  let stripsAccents: Bool
  let lowercases: Bool

  init(_ fields: Fields) throws(TokenizerError) {
    cleansText = try fields.bool("clean_text", default: true)
    spacesIdeographs = try fields.bool("handle_chinese_chars", default: true)
    lowercases = try fields.bool("lowercase", default: true)
    stripsAccents = try fields.bool("strip_accents", default: lowercases)
  }

  func normalize(_ text: [UInt8]) -> [UInt8] {
    var text = text
    if cleansText {
      text = text.mappingScalars { scalar, result in
        guard !isRemoved(scalar) else { return }
        result.append(isSpace(scalar) ? " " as Unicode.Scalar : scalar)
      }
    }
    if spacesIdeographs {
      text = text.mappingScalars { scalar, result in
        if isIdeograph(scalar) {
          for scalar in [" ", scalar, " "] { result.append(scalar) }
        } else {
          result.append(scalar)
        }
      }
    }
    if stripsAccents {
      text = UnicodeNormalization(isCompatible: false, isComposed: false).normalize(text)
      text = text.filteringScalars { BertCategories.category(of: $0) != .nonspacingMark }
    }
    return lowercases ? text.lowercased() : text
  }

  private func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\t" || scalar == "\n" || scalar == "\r" || scalar.properties.isWhitespace
  }

  private func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\t", "\n", "\r": return false
    case "\u{0}", "\u{fffd}": return true
    default: break
    }
    switch BertCategories.category(of: scalar) {
    case .control, .format, .privateUse: return true
    default: return false
    }
  }

  private func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x4e00...0x9fff, 0x3400...0x4dbf, 0x2_0000...0x2_a6df, 0x2_a700...0x2_b73f,
      0x2_b740...0x2_b81f, 0x2_b920...0x2_ceaf, 0xf900...0xfaff, 0x2_f800...0x2_fa1f:
      true
    default: false
    }
  }
}
