/// A set of Unicode scalars as the sorted bounds of its ranges.
///
/// `bounds` holds lower, upper, lower, upper…; a lower bound belongs to the set, an upper does not.
package struct ScalarSet: Sendable, Hashable {
  private(set) var bounds: [UInt32] = []

  static let limit: UInt32 = 0x11_0000
  static let all = ScalarSet([0...limit - 1])

  init() {}

  init(_ ranges: [ClosedRange<UInt32>]) {
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let end = bounds.last, range.lowerBound <= end {
        bounds[bounds.count - 1] = max(end, range.upperBound + 1)
      } else {
        bounds += [range.lowerBound, range.upperBound + 1]
      }
    }
  }

  init(_ scalar: Unicode.Scalar) {
    bounds = [scalar.value, scalar.value + 1]
  }

  init(_ scalars: String) {
    self.init(scalars.unicodeScalars.map { $0.value...$0.value })
  }

  var ranges: [ClosedRange<UInt32>] {
    stride(from: 0, to: bounds.count, by: 2).map { bounds[$0]...bounds[$0 + 1] - 1 }
  }

  var isEmpty: Bool { bounds.isEmpty }

  /// The only member, where there is one only.
  var single: Unicode.Scalar? {
    guard bounds.count == 2, bounds[1] - bounds[0] == 1 else { return nil }
    return Unicode.Scalar(bounds[0])
  }

  var inverted: ScalarSet {
    var result = ScalarSet()
    result.bounds = bounds
    if bounds.first == 0 { result.bounds.removeFirst() } else { result.bounds.insert(0, at: 0) }
    if bounds.last == Self.limit {
      result.bounds.removeLast()
    } else {
      result.bounds.append(Self.limit)
    }
    return result
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  func intersection(_ other: ScalarSet) -> ScalarSet {
    inverted.union(other.inverted).inverted
  }

  package func contains(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = bounds.count
    while low < high {
      let middle = (low + high) / 2
      if bounds[middle] <= scalar { low = middle + 1 } else { high = middle }
    }
    return low % 2 == 1
  }

  /// The set with the other case of each of its members, by simple case folding.
  var ignoringCase: ScalarSet {
    let partners = UnicodeSets.casePartners.compactMap { scalar, partner in
      contains(scalar) ? partner...partner : nil
    }
    return partners.isEmpty ? self : ScalarSet(ranges + partners)
  }
}
