import CKernels
import Foundation
import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: [1, 5, 16, 33, 5000])
  func logits(count: Int) {
    var numbers = Numbers(seed: 12)
    let reference = numbers.floats(count, size: 12)
    for noise: Float in [0, 1e-3, 0.1, 30] {
      let candidate = zip(reference, numbers.floats(count, size: noise)).map { $0 + $1 }
      let expected = Reference.compareLogits(reference: reference, candidate: candidate)
      sweep { _ in
        [compareLogits(reference: reference, candidate: candidate, count: count)]
      } check: { level, results in
        let found = results[0]
        #expect(abs(found.referenceLogSumExp - expected.referenceLogSumExp) < 1e-7, "\(level)")
        #expect(abs(found.candidateLogSumExp - expected.candidateLogSumExp) < 2e-7, "\(level)")
        #expect(
          abs(found.divergence - expected.divergence) < 1e-9 + 2e-6 * abs(expected.divergence),
          "\(level): \(found.divergence), \(expected.divergence)"
        )
        #expect(found.divergence >= 0)
        #expect(found.referenceArgmax == expected.referenceArgmax)
        #expect(found.candidateArgmax == expected.candidateArgmax)
      }
    }
    sweep { _ in
      [logSumExp(reference, count: count)]
    } check: { _, found in
      #expect(abs(found[0] - Reference.logSumExp(reference)) < 1e-7)
    }
  }

  @Test func unusualLogits() {
    sweep { _ in
      [
        argmax([1, 3, 3, -1], count: 4), argmax([-.infinity, -.infinity], count: 2),
        argmax([.nan, 2, 5, .nan], count: 4),
      ]
    } check: { level, found in
      #expect(found == [1, 0, 2], "\(level)")
    }
    // A token that only the candidate, or only the reference, knows.
    let low = [Float](repeating: 0, count: 40)
    var masked = low
    masked[7] = -.infinity
    sweep { _ in
      [
        compareLogits(reference: masked, candidate: low, count: 40).divergence,
        compareLogits(reference: low, candidate: masked, count: 40).divergence,
      ]
    } check: { level, found in
      #expect(abs(found[0] - log(40.0 / 39)) < 1e-8, "\(level)")
      #expect(found[1] == .infinity, "\(level)")
    }
  }

  @Test(arguments: [0, 1, 15, 16, 17, 1000])
  func ranges(count: Int) {
    var numbers = Numbers(seed: 13)
    let x = numbers.floats(count, size: 5)
    sweep { _ in
      let found = minMax(x, count: count)
      return [found.min, found.max, found.finite ? 1 : 0]
    } check: { _, found in
      #expect(found == [x.min() ?? .infinity, x.max() ?? -.infinity, 1])
    }
    for place in x.indices where place % 7 == 0 {
      for unusual: Float in [.nan, .infinity, -.infinity] {
        var y = x
        y[place] = unusual
        #expect(!minMax(y, count: count).finite)
      }
    }
  }

  @Test(arguments: [(1, 1), (3, 5), (100, 700), (2, 129)])
  func absoluteMaxima(rows: Int, columns: Int) {
    var numbers = Numbers(seed: 14)
    let x = numbers.floats(rows * columns)
    let before = numbers.floats(columns).map { abs($0) }
    sweep { workers in
      filled(columns, with: Float(9)) { out in
        out.update(from: before, count: columns)
        columnAbsoluteMaxima(x: x, rows: rows, columns: columns, maximaInto: out, on: workers)
      }
    } check: { _, found in
      #expect(found == Reference.columnAbsoluteMaxima(x: x, columns: columns, maximaInto: before))
    }
    sweep { workers in
      filled(rows, with: Float(9)) {
        rowAbsoluteMaxima(x: x, rows: rows, columns: columns, out: $0, on: workers)
      }
    } check: { _, found in
      #expect(found == Reference.rowAbsoluteMaxima(x: x, columns: columns))
    }
  }

  @Test func histograms() {
    var numbers = Numbers(seed: 15)
    let x = numbers.floats(3000, size: 2) + [.nan, .infinity, -.infinity, -1, 1, 0]
    sweep { _ in
      filled(100, with: UInt64(1)) {
        $0.update(repeating: 0, count: 100)
        histogram(x, count: x.count, lower: -1, upper: 1, bins: 100, into: $0)
      }
    } check: { _, found in
      #expect(found == Reference.histogram(x, lower: -1, upper: 1, bins: 100))
      #expect(found.reduce(0, +) == UInt64(x.count - 1))
    }
  }

  @Test(arguments: [0, 1, 17, 100_000])
  func squaredDifferences(count: Int) {
    var numbers = Numbers(seed: 16)
    let a = numbers.floats(count)
    let b = numbers.floats(count)
    sweep { _ in
      [squaredDifference(a, b, count: count)]
    } check: { _, found in
      let expected = Reference.squaredDifference(a, b)
      #expect(abs(found[0] - expected) <= 1e-7 * expected)
    }
  }

  /// Floats spread over all patterns, and both sides of where results overflow and underflow.
  @Test func exponentials() {
    let edges: [Float] = [
      -.infinity, -1000, -104, -103.97, -103.9, -88, -87.33, -87.34, -0.0, 0, 88.72, 88.73, 89,
      1000, .infinity, .nan,
    ]
    let x = edges + stride(from: UInt32(0), to: .max, by: 4001).map(Float.init(bitPattern:))
    sweep { _ in
      filled(x.count, with: Float(7)) { karat_active().pointee.exponential(x, x.count, $0) }.map(
        \.bitPattern
      )
    } check: { level, bits in
      let wrong = zip(x, bits).first { x, bits in
        let found = Float(bitPattern: bits)
        let expected = exp(Double(x))
        guard expected.isFinite else {
          return !(x.isNaN ? found.isNaN : found == .infinity)
        }
        let rounded = Float(expected)
        guard rounded.isFinite else { return found != .infinity }
        // Half a unit in the last place of subnormal results is more than 2e-7 of them.
        let allowed = max(2e-7 * expected, Double(Float.leastNonzeroMagnitude))
        return !(abs(Double(found) - expected) <= allowed)
      }
      #expect(wrong == nil, "\(level): e^\(wrong?.0 ?? 0)")
    }
  }
}
