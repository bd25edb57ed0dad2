package import KaratGraphs
import KaratKernels
package import KaratTensors

/// How far a value of the student is from one of the teacher, row by row.
package final class StateLoss: Loss {
  /// How two rows are compared.
  package enum Measure: String, Sendable, Hashable, Codable, CaseIterable {
    /// The mean of squared differences.
    case meanSquare = "mse"
    /// 1 − the cosine of the angle between them: lengths, which few numbers dominate, play no part.
    case cosine
    /// The squared distance over the squared length of the teacher's row: tokens count alike, however
    /// large their states are.
    case relative
  }

  /// Which rows of a value are compared.
  package enum Rows {
    /// Every row: one for each sequence.
    case sequences
    /// Those of tokens: so many of each sequence, whatever padding follows.
    case tokens(lengths: [Int])
  }

  package let name: String
  package let weight: Double
  package let values: [ValueID]
  /// What is compared in the next batch.
  package var rows = Rows.sequences
  private let measure: Measure
  private let target: () -> Tensor
  /// Whether each sequence counts as one, whatever its length.
  private let isPerSequence: Bool

  /// Compares a value with a teacher's.
  ///
  /// - Parameters:
  ///   - name: what it is called in the metrics.
  ///   - value: the student's value F32[batch, …, features].
  ///   - measure: how rows are compared.
  ///   - weight: what the loss is multiplied by.
  ///   - isPerSequence: whether the mean over a sequence's tokens is taken, instead of their sum.
  ///   - target: the teacher's value for the batch at hand, of the same extents.
  package init(
    _ name: String,
    _ value: ValueID,
    _ measure: Measure,
    weight: Double,
    isPerSequence: Bool,
    target: @escaping () -> Tensor
  ) {
    self.name = name
    self.weight = weight
    self.measure = measure
    self.isPerSequence = isPerSequence
    self.target = target
    values = [value]
  }

  package func evaluate(_ run: LossEvaluation) throws -> Double {
    let x = run.values[0]
    let target = target()
    guard target.shape == x.shape else {
      throw EngineError(
        "the student's \(name) is \(x.shape) and the teacher's \(target.shape); they cannot be compared"
          + " without a projection."
      )
    }
    return target.withElements(as: Float.self) { target in
      guard let target = target.baseAddress else { return 0 }
      switch rows {
      case .sequences:
        return compare(x, target, 0..<x.rows, share: 1, run)
      case .tokens(let lengths):
        let stride = x.rows / max(lengths.count, 1)
        return lengths.enumerated().reduce(0) { sum, sequence in
          let first = sequence.offset * stride
          let share = isPerSequence ? 1 / Double(max(sequence.element, 1)) : 1
          return sum + compare(x, target, first..<first + sequence.element, share: share, run)
        }
      }
    }
  }

  /// The loss of some rows, summed, times their share.
  private func compare(
    _ x: Operand,
    _ target: UnsafePointer<Float>,
    _ rows: Range<Int>,
    share: Double,
    _ run: LossEvaluation
  ) -> Double {
    guard !rows.isEmpty else { return 0 }
    precondition(rows.upperBound <= x.rows, "the value has a row for each that is compared")
    let first = rows.lowerBound * x.features
    let gradient = run.gradient.map { $0.mutableFloats + first }
    let factor = Float(Double(run.factor) * weight * share)
    switch measure {
    case .meanSquare:
      let mean = meanSquaredError(
        x: x.floats + first,
        target: target + first,
        count: rows.count * x.features,
        factor: factor * Float(rows.count),
        addTo: gradient,
        on: run.workers
      )
      return mean * Double(rows.count) * share
    case .cosine, .relative:
      let loss = measure == .cosine ? cosineLoss : relativeSquaredError
      var losses = Array(repeating: 0.0, count: rows.count)
      loss(
        x.floats + first,
        target + first,
        rows.count,
        x.features,
        factor,
        &losses,
        gradient,
        run.workers
      )
      return losses.reduce(0, +) * share
    }
  }
}
