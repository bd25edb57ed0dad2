import Foundation

extension Reference {
  /// log Σ e^x.
  package static func logSumExp(_ x: [Float]) -> Double {
    let greatest = Double(x.max() ?? 0)
    return log(x.reduce(0.0) { $0 + exp(Double($1) - greatest) }) + greatest
  }

  /// The place of the greatest element, the first of equals.
  package static func argmax(_ x: [Float]) -> Int {
    x.indices.reduce(0) { x[$1] > x[$0] ? $1 : $0 }
  }

  /// The log-sum-exp and argmax of two rows of logits, and Σ p · (log p - log q).
  package static func compareLogits(reference: [Float], candidate: [Float]) -> LogitComparison {
    let logP = logSumExp(reference)
    let logQ = logSumExp(candidate)
    let divergence = zip(reference, candidate).reduce(0.0) { sum, pair in
      let p = Double(pair.0) - logP
      return sum + exp(p) * (p - (Double(pair.1) - logQ))
    }
    return LogitComparison(
      referenceLogSumExp: logP,
      candidateLogSumExp: logQ,
      divergence: divergence,
      referenceArgmax: argmax(reference),
      candidateArgmax: argmax(candidate)
    )
  }

  /// The greatest magnitude in each row of x [rows, columns].
  package static func rowAbsoluteMaxima(x: [Float], columns: Int) -> [Float] {
    stride(from: 0, to: x.count, by: columns).map { first in
      x[first..<first + columns].reduce(0) { max($0, abs($1)) }
    }
  }

  /// The greatest of maxima[c] and the magnitudes in column c of x [rows, columns].
  package static func columnAbsoluteMaxima(
    x: [Float],
    columns: Int,
    maximaInto maxima: [Float]
  ) -> [Float] {
    var out = maxima
    for index in x.indices { out[index % columns] = max(out[index % columns], abs(x[index])) }
    return out
  }

  /// Counts in `bins` equal bins of lower..<upper; what lies outside counts at the edges.
  package static func histogram(_ x: [Float], lower: Float, upper: Float, bins: Int) -> [UInt64] {
    var counts = [UInt64](repeating: 0, count: bins)
    for value in x where !value.isNaN {
      let place =
        (Double(value) - Double(lower)) * (Double(bins) / (Double(upper) - Double(lower)))
      counts[Int(min(Double(bins - 1), max(0, place)))] += 1
    }
    return counts
  }

  /// Σ (a - b)².
  package static func squaredDifference(_ a: [Float], _ b: [Float]) -> Double {
    zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
  }
}
