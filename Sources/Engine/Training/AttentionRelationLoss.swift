package import KaratGraphs
import KaratKernels
package import KaratTensors

/// How much the relations among a student's queries, keys or values, head by head, differ from the
/// teacher's (MiniLM, Wang et al., 2020; of all three: MiniLMv2, Wang et al., 2021); widths and heads
/// of the two may differ.
package final class AttentionRelationLoss: Loss {
  package let name: String
  package let weight: Double
  package let values: [ValueID]
  /// 1 for tokens and 0 for padding in the next batch [batch, length], or nil where there is none.
  package var mask: [Int32]?
  private let heads: Int
  private let isCausal: Bool
  private let isPerSequence: Bool
  private let target: () -> Tensor

  /// Compares relations of a value [batch, length, features] with those of a teacher's.
  ///
  /// - Parameters:
  ///   - name: what it is called in the metrics.
  ///   - value: the student's queries, keys or values.
  ///   - heads: into how many parts features of both are cut.
  ///   - isCausal: whether a token is related to those before it alone.
  ///   - weight: what the loss is multiplied by.
  ///   - isPerSequence: whether a sequence counts as one, or as its tokens.
  ///   - target: the teacher's value for the batch at hand.
  package init(
    _ name: String,
    _ value: ValueID,
    heads: Int,
    isCausal: Bool,
    weight: Double,
    isPerSequence: Bool,
    target: @escaping () -> Tensor
  ) {
    self.name = name
    self.weight = weight
    self.heads = heads
    self.isCausal = isCausal
    self.isPerSequence = isPerSequence
    self.target = target
    values = [value]
  }

  package func evaluate(_ run: LossEvaluation) throws -> Double {
    let x = run.values[0]
    let target = target()
    // The kernel gives a mean over tokens; the trainer divides by what is judged.
    guard isPerSequence else {
      let count = mask?.reduce(0) { $0 + Int($1) } ?? x.rows
      return mean(0..<x.shape[0], x, target, times: Double(count), run)
    }
    return (0..<x.shape[0]).reduce(0) { $0 + mean($1..<$1 + 1, x, target, times: 1, run) }
  }

  /// The mean over the tokens of some sequences, times a number.
  private func mean(
    _ sequences: Range<Int>,
    _ x: Operand,
    _ target: Tensor,
    times scale: Double,
    _ run: LossEvaluation
  ) -> Double {
    let length = x.shape[1]
    let first = sequences.lowerBound * length
    return target.withElements(as: Float.self) { teacher -> Double in
      guard let teacher = teacher.baseAddress else { return 0 }
      func loss(_ mask: UnsafePointer<Int32>?) -> Double {
        scale
          * relationLoss(
            student: x.floats + first * x.features,
            teacher: teacher + first * target.shape[2],
            shape: RelationShape(
              batch: sequences.count,
              length: length,
              studentFeatures: x.features,
              teacherFeatures: target.shape[2],
              heads: heads,
              causal: isCausal
            ),
            mask: mask,
            factor: Float(Double(run.factor) * weight * scale),
            addTo: run.gradient.map { $0.mutableFloats + first * x.features },
            on: run.workers
          )
      }
      guard let mask else { return loss(nil) }
      return mask.withUnsafeBufferPointer { mask in loss(mask.baseAddress.map { $0 + first }) }
    }
  }
}
