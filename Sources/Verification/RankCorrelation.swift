package import KaratEngine

/// Spearman's rank correlation of numbers with scores, for whole data and for samples of it drawn
/// with replacement.
///
/// Numbers are sorted once. A sample is how often each observation was drawn, and its ranks follow
/// by one walk through the order, so that a thousand samples take little longer than one sort.
package struct RankOrder: Sendable {
  /// Places of the numbers, ascending.
  private let order: [Int]
  /// For each place in `order`, whether the number there equals the one before.
  private let isTie: [Bool]

  package init(_ numbers: [Double]) {
    let order = numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) }
    self.order = order
    isTie = order.indices.map { $0 > 0 && numbers[order[$0]] == numbers[order[$0 - 1]] }
  }

  /// The rank of each number, from the middle of 0 and 1 on; equal ones share the mean of theirs.
  ///
  /// - Parameter counts: how often each number occurs.
  /// - Returns: the ranks, in the numbers' order.
  func ranks(_ counts: [Int]) -> [Double] {
    var ranks = Array(repeating: 0.0, count: order.count)
    var below = 0
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, isTie[end] { end += 1 }
      let count = order[start..<end].reduce(0) { $0 + counts[$1] }
      for place in start..<end { ranks[order[place]] = Double(below) + Double(count) / 2 }
      below += count
      start = end
    }
    return ranks
  }
}

/// Spearman's correlation: Pearson's of ranks, or nil where one side has equal numbers only.
///
/// - Parameters:
///   - left: the order of one side.
///   - right: the order of the other.
///   - counts: how often each observation occurs.
/// - Returns: the correlation, from −1 to 1.
package func rankCorrelation(_ left: RankOrder, _ right: RankOrder, _ counts: [Int]) -> Double? {
  let (x, y) = (left.ranks(counts), right.ranks(counts))
  // The mean of all ranks is half their number, whatever the ties.
  let mean = Double(counts.reduce(0, +)) / 2
  var (xx, yy, xy) = (0.0, 0.0, 0.0)
  for (index, count) in counts.enumerated() where count > 0 {
    let (dx, dy) = (x[index] - mean, y[index] - mean)
    xx += Double(count) * dx * dx
    yy += Double(count) * dy * dy
    xy += Double(count) * dx * dy
  }
  guard xx > 0, yy > 0 else { return nil }
  return xy / (xx * yy).squareRoot()
}

/// How often each of `count` observations is drawn in so many draws with replacement.
package func resampled(_ count: Int, _ random: inout SeededGenerator) -> [Int] {
  var counts = Array(repeating: 0, count: count)
  for _ in 0..<count { counts[Int.random(in: 0..<count, using: &random)] += 1 }
  return counts
}

/// The 2.5th and 97.5th percentile of what a statistic is over samples, or nil where it often has no
/// value.
package func percentileInterval(_ samples: [Double?]) -> ClosedRange<Double>? {
  let values = samples.compactMap(\.self).sorted()
  guard values.count >= 100, values.count * 2 > samples.count else { return nil }
  func quantile(_ fraction: Double) -> Double {
    let place = fraction * Double(values.count - 1)
    let below = Int(place)
    let above = min(below + 1, values.count - 1)
    return values[below] + (place - Double(below)) * (values[above] - values[below])
  }
  return quantile(0.025)...quantile(0.975)
}
