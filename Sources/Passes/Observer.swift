import KaratKernels
package import KaratTensors

/// How a static range is chosen from the numbers that an activation held.
public enum Observer: String, Sendable, Hashable, Codable, CaseIterable {
  /// From the smallest to the largest.
  case minmax
  /// From the smallest to the largest of each window, averaged with weight 0.01 on the newest
  /// (Jacob et al., 2018).
  case movingAverage = "moving-average"
  /// Leaves 0.01% of the numbers outside.
  case percentile
  /// Least squared error of the numbers.
  case mse
  /// Least squared error of the outputs of the layers that read the activation.
  case output
  /// Least KL divergence of the distribution of codes from that of the numbers (Migacz, 2017).
  case entropy
}

/// What is remembered of an activation: bounded memory, whatever the number of samples.
package struct ActivationStatistics {
  private(set) var lower: Float = .infinity
  private(set) var upper: Float = -.infinity
  private(set) var histogram = AdaptiveHistogram()
  private var averaged: (lower: Float, upper: Float)?

  package init() {}

  /// Whether nothing was taken in yet.
  var isEmpty: Bool { lower > upper }

  /// Takes in the numbers of one window.
  ///
  /// - Returns: false where one of them is NaN or infinite; nothing is taken in then.
  package mutating func observe(_ numbers: UnsafePointer<Float>, count: Int) -> Bool {
    let extremes = minMax(numbers, count: count)
    guard extremes.finite else { return false }
    lower = min(lower, extremes.min)
    upper = max(upper, extremes.max)
    if let last = averaged {
      averaged = (
        last.lower + 0.01 * (extremes.min - last.lower),
        last.upper + 0.01 * (extremes.max - last.upper)
      )
    } else {
      averaged = (extremes.min, extremes.max)
    }
    histogram.widen(toHold: extremes.min, extremes.max)
    histogram.add(numbers, count: count)
    return true
  }

  /// The range that an observer chooses.
  package func range(_ observer: Observer) -> QuantizationRange {
    guard lower <= upper else { return QuantizationRange(spanning: 0, 0) }
    switch observer {
    case .minmax: return QuantizationRange(spanning: lower, upper)
    case .movingAverage:
      return QuantizationRange(spanning: averaged?.lower ?? lower, averaged?.upper ?? upper)
    case .percentile:
      let (low, high) = RangeSearch(self).quantiles(outside: 0.0001)
      return QuantizationRange(spanning: low, high)
    case .mse, .output: return RangeSearch(self).leastSquaredError()
    case .entropy: return RangeSearch(self).leastDivergence()
    }
  }
}
