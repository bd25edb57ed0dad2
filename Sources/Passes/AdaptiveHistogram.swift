import KaratKernels

/// Counts numbers in bins of one width over a range that widens as larger numbers come.
///
/// Bounded memory for any number of samples, and no first pass to find the range: when a number
/// lies outside, the bins are merged in pairs until it does not. Bin edges are multiples of the
/// width, so zero is always an edge.
package struct AdaptiveHistogram {
  /// How many bins there are on each side of zero.
  package static let half = 4096

  /// The width of a bin; a power of two, or 0 before the first number other than zero.
  package private(set) var width: Float = 0
  /// The counts from the bin at `-half · width` up.
  package private(set) var counts = Array(repeating: UInt64(0), count: 2 * half)
  private var zeros: UInt64 = 0

  package init() {}

  /// Makes room for numbers from `lower` to `upper`, both finite.
  package mutating func widen(toHold lower: Float, _ upper: Float) {
    let magnitude = max(abs(lower), abs(upper))
    guard magnitude > 0 else { return }
    if width == 0 {
      // 1.0 × 2^exponent is at most the magnitude; one more doubling holds it.
      width = max(magnitude.binade / Float(Self.half) * 2, .leastNormalMagnitude)
      counts[Self.half] += zeros
      zeros = 0
    }
    while magnitude >= width * Float(Self.half) { merge() }
  }

  /// Counts numbers that `widen` made room for.
  package mutating func add(_ numbers: UnsafePointer<Float>, count: Int) {
    guard width > 0 else {
      zeros += UInt64(count)
      return
    }
    let limit = width * Float(Self.half)
    guard limit.isFinite else {
      // Only the widest bins reach beyond the largest float.
      for index in 0..<count {
        counts[Self.half + Int((numbers[index] / width).rounded(.down))] += 1
      }
      return
    }
    counts.withUnsafeMutableBufferPointer { bins in
      guard let bins = bins.baseAddress else { return }
      histogram(
        numbers,
        count: count,
        lower: -limit,
        upper: limit,
        bins: 2 * Self.half,
        into: bins
      )
    }
  }

  /// How many numbers were counted.
  package var total: UInt64 { counts.reduce(zeros, +) }

  /// The middle of a bin.
  package func middle(_ bin: Int) -> Double { (Double(bin - Self.half) + 0.5) * Double(width) }

  /// Doubles the width of the bins: pairs are added up, from the middle outwards.
  private mutating func merge() {
    var merged = Array(repeating: UInt64(0), count: counts.count)
    let quarter = Self.half / 2
    for bin in counts.indices { merged[quarter + bin / 2] += counts[bin] }
    counts = merged
    width *= 2
  }
}
