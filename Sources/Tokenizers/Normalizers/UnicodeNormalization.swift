import Foundation
import KaratPatterns

/// The normalization forms of Unicode 9, which the `tokenizers` package has, in time n log n whatever
/// the text.
///
/// Foundation's own whole-text calls take quadratic time on long runs of combining marks: it is
/// asked once for each scalar's decomposition, and the rest is done here.
struct UnicodeNormalization: Sendable {
  /// Compatibility decomposition (NFKC, NFKD) in place of the canonical one.
  let isCompatible: Bool
  /// Composed again (NFC, NFKC).
  let isComposed: Bool

  func normalize(_ text: [UInt8]) -> [UInt8] {
    // No scalar below U+0300 changes in NFC, and no ASCII in any form.
    let firstLead: UInt8 = isComposed && !isCompatible ? 0xcc : 0x80
    guard text.contains(where: { $0 >= firstLead }) else { return text }
    var scalars = decomposed(text)
    Self.sortMarks(&scalars)
    if isComposed { Self.compose(&scalars) }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for scalar in scalars.lazy.compactMap(Unicode.Scalar.init) {
      result.append(scalar)
    }
    return result
  }

  private func decomposed(_ text: [UInt8]) -> [UInt32] {
    let tables = DecompositionTables.shared
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    for scalar in text.scalars {
      let value = scalar.value
      if value < 0x80 {
        result.append(value)
      } else if value &- Hangul.syllables < Hangul.syllableCount {
        Hangul.decompose(value, into: &result)
      } else if isCompatible, let parts = tables.compatible[value] {
        result += parts
      } else if let parts = tables.canonical[value] {
        result += parts
      } else {
        result.append(value)
      }
    }
    return result
  }

  private static func combiningClass(_ scalar: UInt32) -> UInt8 {
    guard scalar >= 0x300, let scalar = Unicode.Scalar(scalar) else { return 0 }
    let combiningClass = scalar.properties.canonicalCombiningClass.rawValue
    // Most scalars are in class 0; the question for their age takes longer.
    return combiningClass == 0 || scalar.isAssigned(inUnicode: 9) ? combiningClass : 0
  }

  /// Sorts each run of marks by combining class and keeps the order within a class.
  private static func sortMarks(_ scalars: inout [UInt32]) {
    var start = 0
    while start < scalars.count {
      guard combiningClass(scalars[start]) > 0 else {
        start += 1
        continue
      }
      var marks: [(order: UInt64, scalar: UInt32)] = []
      var end = start
      while end < scalars.count, case let order = combiningClass(scalars[end]), order > 0 {
        marks.append((UInt64(order) << 32 | UInt64(end - start), scalars[end]))
        end += 1
      }
      if marks.count > 1 {
        marks.sort { $0.order < $1.order }
        for (offset, mark) in marks.enumerated() { scalars[start + offset] = mark.scalar }
      }
      start = end
    }
  }

  private static func compose(_ scalars: inout [UInt32]) {
    var starter: Int?
    var lastClass: UInt8 = 0
    var count = 0
    for scalar in scalars {
      let combiningClass = combiningClass(scalar)
      // A mark reaches its starter unless one of its own or a higher class stands between.
      if let place = starter, count == place + 1 || lastClass != 0 && lastClass < combiningClass,
        let composite = composite(scalars[place], scalar)
      {
        scalars[place] = composite
        continue
      }
      if combiningClass == 0 { starter = count }
      lastClass = combiningClass
      scalars[count] = scalar
      count += 1
    }
    scalars.removeLast(scalars.count - count)
  }

  private static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    guard second >= 0x300 else { return nil }
    return Hangul.composite(first, second)
      ?? DecompositionTables.shared.composites[UInt64(first) << 32 | UInt64(second)]
  }
}

/// Hangul syllables, whose decompositions follow from their numbers.
private enum Hangul {
  static let syllables: UInt32 = 0xac00
  static let syllableCount: UInt32 = 11_172
  private static let (leads, leadCount): (UInt32, UInt32) = (0x1100, 19)
  private static let (vowels, vowelCount): (UInt32, UInt32) = (0x1161, 21)
  /// One before the first trailing consonant.
  private static let (tails, tailCount): (UInt32, UInt32) = (0x11a7, 28)

  static func decompose(_ syllable: UInt32, into result: inout [UInt32]) {
    let index = syllable - syllables
    result.append(leads + index / (vowelCount * tailCount))
    result.append(vowels + index % (vowelCount * tailCount) / tailCount)
    if index % tailCount > 0 { result.append(tails + index % tailCount) }
  }

  static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if first &- leads < leadCount, second &- vowels < vowelCount {
      return syllables + ((first - leads) * vowelCount + second - vowels) * tailCount
    }
    if first &- syllables < syllableCount, (first - syllables) % tailCount == 0,
      second > tails, second &- tails < tailCount
    {
      return first + second - tails
    }
    return nil
  }
}

/// Every scalar's full decomposition, and the pairs that compose.
private struct DecompositionTables: Sendable {
  private(set) var canonical: [UInt32: [UInt32]] = [:]
  private(set) var compatible: [UInt32: [UInt32]] = [:]
  private(set) var composites: [UInt64: UInt32] = [:]

  static let shared = DecompositionTables()

  /// Where no scalar decomposes: unified ideographs, Tangut and private use; Hangul has its rule.
  private static let skipped: [ClosedRange<UInt32>] = [
    0x3400...0x4dbf, 0x4e00...0x9fff, 0xac00...0xf8ff, 0x1_7000...0x1_8dff, 0x2_0000...0x2_f7ff,
  ]

  private init() {
    var value: UInt32 = 0xa0
    while value < 0x3_0000 {
      if let skipped = Self.skipped.first(where: { $0.contains(value) }) {
        value = skipped.upperBound
      } else if let scalar = Unicode.Scalar(value), scalar.isAssigned(inUnicode: 9),
        scalar.properties.generalCategory != .unassigned
      {
        add(scalar)
      }
      value += 1
    }
    for (value, parts) in canonical where parts.count > 1 {
      guard let scalar = Unicode.Scalar(value), let last = parts.last,
        String(scalar).precomposedStringWithCanonicalMapping.unicodeScalars.first == scalar
      else { continue }
      let head = Array(parts.dropLast())
      let first = head.count == 1 ? head[0] : heads[head]
      if let first { composites[UInt64(first) << 32 | UInt64(last)] = value }
    }
    heads = [:]
  }

  /// The scalar of each canonical decomposition, while the table is made.
  private var heads: [[UInt32]: UInt32] = [:]

  private mutating func add(_ scalar: Unicode.Scalar) {
    let text = String(scalar)
    let canonical = text.decomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
    let compatible = text.decomposedStringWithCompatibilityMapping.unicodeScalars.map(\.value)
    if canonical != [scalar.value] {
      self.canonical[scalar.value] = canonical
      // A composite excluded from composition has a twin that is not: that one is the head.
      if text.precomposedStringWithCanonicalMapping.unicodeScalars.first == scalar {
        heads[canonical] = scalar.value
      }
    }
    if compatible != canonical { self.compatible[scalar.value] = compatible }
  }
}
