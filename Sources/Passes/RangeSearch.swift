import Foundation
import KaratTensors

/// Searches for a range narrower than the extremes, on a histogram.
struct RangeSearch {
  private let lower: Float
  private let upper: Float
  /// Middles of the bins that hold anything, with their counts.
  private let bins: [(middle: Double, count: Double)]

  init(_ statistics: ActivationStatistics) {
    lower = min(statistics.lower, 0)
    upper = max(statistics.upper, 0)
    let histogram = statistics.histogram
    // A bin at the edge may reach beyond the extremes; its middle is kept within them.
    let limits = (Double(statistics.lower), Double(statistics.upper))
    bins = histogram.counts.enumerated().compactMap { bin, count in
      count == 0 ? nil : (min(max(histogram.middle(bin), limits.0), limits.1), Double(count))
    }
  }

  /// The numbers below and above which half of a fraction of all lie.
  func quantiles(outside fraction: Double) -> (Float, Float) {
    let limit = bins.reduce(0) { $0 + $1.count } * fraction / 2
    func edge(_ bins: some Sequence<(middle: Double, count: Double)>) -> Double {
      var sum = 0.0
      for bin in bins {
        sum += bin.count
        if sum > limit { return bin.middle }
      }
      return 0
    }
    return (max(Float(edge(bins)), lower), min(Float(edge(bins.reversed())), upper))
  }

  /// The range with the least squared error over all numbers.
  func leastSquaredError() -> QuantizationRange {
    best { range in
      let (scale, zero) = (Double(range.scale), Double(range.zeroPoint))
      return bins.reduce(0) { sum, bin in
        let code = min(max((bin.middle / scale + zero).rounded(.toNearestOrEven), -128), 127)
        let error = (code - zero) * scale - bin.middle
        return sum + bin.count * error * error
      }
    }
  }

  /// The range whose codes' distribution, spread back over the numbers, diverges least from theirs.
  func leastDivergence() -> QuantizationRange {
    let total = bins.reduce(0) { $0 + $1.count }
    return best { range in
      // P: the numbers, clipped. Q: each code's share spread evenly over the bins that it stands for.
      let (scale, zero) = (Double(range.scale), Double(range.zeroPoint))
      var mass = Array(repeating: 0.0, count: 256)
      var within = Array(repeating: 0.0, count: 256)
      var width = Array(repeating: 0.0, count: 256)
      let codes = bins.map { bin in
        let code = (bin.middle / scale + zero).rounded(.toNearestOrEven)
        return (index: Int(min(max(code, -128), 127)) + 128, isClipped: !(-128...127).contains(code))
      }
      for (bin, code) in zip(bins, codes) {
        mass[code.index] += bin.count
        if !code.isClipped {
          within[code.index] += bin.count
          width[code.index] += 1
        }
      }
      let kept = within.reduce(0, +)
      guard kept > 0 else { return .infinity }
      // Clipped numbers pile up at the edge bins of P, where Q does not know of them.
      var divergence = 0.0
      var seen = Array(repeating: false, count: 256)
      for (bin, code) in zip(bins, codes) where !code.isClipped {
        let index = code.index
        let isEdge = (index == 0 || index == 255) && !seen[index]
        seen[index] = true
        let p = (bin.count + (isEdge ? mass[index] - within[index] : 0)) / total
        let q = within[index] / width[index] / kept
        divergence += p * log(p / q)
      }
      return divergence
    }
  }

  /// The range for which a loss is least: both ends are narrowed together, then each alone.
  private func best(_ loss: (QuantizationRange) -> Double) -> QuantizationRange {
    var ends = (lower: Float(1), upper: Float(1))
    func range(_ ends: (lower: Float, upper: Float)) -> QuantizationRange {
      QuantizationRange(spanning: lower * ends.lower, upper * ends.upper)
    }
    var least = loss(range(ends))
    func consider(_ candidate: (lower: Float, upper: Float)) {
      let candidateLoss = loss(range(candidate))
      if candidateLoss < least { (least, ends) = (candidateLoss, candidate) }
    }
    // Fractions spaced evenly in ratio: outliers may be a hundred times what matters.
    let fractions = (1...96).map { powf(0.95, Float($0)) }
    for fraction in fractions { consider((fraction, fraction)) }
    for _ in 0..<2 {
      let middle = ends
      let steps = (-16...16).map { powf(0.98, Float($0)) }
      for step in steps { consider((min(middle.lower * step, 1), ends.upper)) }
      for step in steps { consider((ends.lower, min(middle.upper * step, 1))) }
    }
    return range(ends)
  }
}
