import Foundation

/// Runs of neighbouring tokens that are treated as one observation.
///
/// Losses of neighbouring tokens depend on each other, so counting each as an observation would
/// make intervals too narrow. Means of segments hardly do (the method of batch means).
package struct Segments: Sendable {
  /// Tokens of a segment; the last of a window takes what is left.
  package static let length = 64

  /// The number of tokens in each segment, in order.
  package let sizes: [Int]

  /// Cuts windows with these numbers of scored tokens.
  package init(scoredTokens: [Int]) {
    sizes = scoredTokens.flatMap { count in
      let segments = max(1, count / Self.length)
      return (0..<segments).map {
        $0 < segments - 1 ? Self.length : count - Self.length * (segments - 1)
      }
    }
  }

  /// The standard error of the mean of numbers that stand in the segments' order, or nil where
  /// there is a single segment.
  package func standardError(of numbers: [Double]) -> Double? {
    guard sizes.count > 1, !numbers.isEmpty else { return nil }
    let mean = numbers.reduce(0, +) / Double(numbers.count)
    var squares = 0.0
    var start = 0
    for size in sizes {
      let sum = numbers[start..<start + size].reduce(0, +)
      squares += (sum - mean * Double(size)) * (sum - mean * Double(size))
      start += size
    }
    let count = Double(sizes.count)
    return (squares * count / (count - 1)).squareRoot() / Double(numbers.count)
  }
}

/// The ratio of two perplexities over the same tokens, with a 95% interval from paired differences.
public struct RatioInterval: Sendable, Hashable {
  /// The candidate's perplexity over the reference's.
  public let ratio: Double
  /// Between which bounds the ratio lies with 95% confidence, or nil where there is too little text
  /// for any.
  public let bounds: ClosedRange<Double>?

  /// Takes the ratio and its interval from paired losses.
  ///
  /// - Parameters:
  ///   - differences: the candidate's loss minus the reference's, for each token, in nats.
  ///   - segments: how the tokens are grouped into observations.
  package init(differences: [Double], segments: Segments) {
    let mean = differences.reduce(0, +) / Double(max(differences.count, 1))
    ratio = exp(mean)
    bounds = segments.standardError(of: differences).map { error in
      let reach = studentQuantile975(freedom: segments.sizes.count - 1) * error
      return exp(mean - reach)...exp(mean + reach)
    }
  }
}

/// The number below which Student's t lies with probability 0.975.
///
/// Exact to four digits: a table for few degrees of freedom, the Cornish-Fisher expansion beyond
/// (Abramowitz and Stegun, 26.7.5).
package func studentQuantile975(freedom: Int) -> Double {
  let table = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060]
  if (1...table.count).contains(freedom) { return table[freedom - 1] }
  let (z, n) = (1.959964, Double(freedom))
  let first = (pow(z, 3) + z) / 4
  let second = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96
  let third = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / 384
  return z + first / n + second / (n * n) + third / (n * n * n)
}
