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
      // P: the numbers, those beyond an end piled up in the last bin before it. Q: each code's
      // share of the numbers within, spread evenly over the bins of the code.
      let (scale, zero) = (Double(range.scale), Double(range.zeroPoint))
      var within = Array(repeating: 0.0, count: 256)
      var width = Array(repeating: 0.0, count: 256)
      var kept: [(count: Double, code: Int)] = []
      var (below, above) = (0.0, 0.0)
      for bin in bins {
        let code = (bin.middle / scale + zero).rounded(.toNearestOrEven)
        if code < -128 { below += bin.count }
        if code > 127 { above += bin.count }
        guard (-128...127).contains(code) else { continue }
        let index = Int(code) + 128
        within[index] += bin.count
        width[index] += 1
        kept.append((bin.count, index))
      }
      guard !kept.isEmpty else { return .infinity }
      let sum = total - below - above
      kept[0].count += below
      kept[kept.count - 1].count += above
      return kept.reduce(0) { divergence, bin in
        let (p, q) = (bin.count / total, within[bin.code] / width[bin.code] / sum)
        return divergence + p * log(p / q)
      }
    }
  }

  /// The range for which a loss is least: both ends are narrowed together, then each alone, since
  /// outliers may be on one side only.
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
    let lowerEnd = ends.lower
    for fraction in [1] + fractions { consider((lowerEnd, fraction)) }
    for fraction in fractions { consider((1, fraction)) }
    let upperEnd = ends.upper
    for fraction in [1] + fractions { consider((fraction, upperEnd)) }
    for fraction in fractions { consider((fraction, 1)) }
    for _ in 0..<2 {
      let middle = ends
      let steps = (-16...16).map { powf(0.98, Float($0)) }
      for step in steps { consider((min(middle.lower * step, 1), ends.upper)) }
      for step in steps { consider((ends.lower, min(middle.upper * step, 1))) }
    }
    return range(ends)
  }
}
