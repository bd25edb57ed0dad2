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
    let (batch, length) = (x.shape[0], x.shape[1])
    // The kernel gives a mean over tokens; the trainer divides by what is judged.
    let judged = Double(isPerSequence ? batch : mask?.reduce(0) { $0 + Int($1) } ?? batch * length)
    let mean = target.withElements(as: Float.self) { teacher -> Double in
      guard let teacher = teacher.baseAddress else { return 0 }
      func loss(_ mask: UnsafePointer<Int32>?) -> Double {
        relationLoss(
          student: x.floats,
          teacher: teacher,
          shape: RelationShape(
            batch: batch,
            length: length,
            studentFeatures: x.features,
            teacherFeatures: target.shape[2],
            heads: heads,
            causal: isCausal
          ),
          mask: mask,
          factor: Float(Double(run.factor) * weight * judged),
          addTo: run.gradient?.mutableFloats,
          on: run.workers
        )
      }
      guard let mask else { return loss(nil) }
      return mask.withUnsafeBufferPointer { loss($0.baseAddress) }
    }
    return mean * judged
  }
}
