package import KaratGraphs
import KaratKernels
import KaratTensors

/// A decoder that teaches another: its distributions for the windows of a batch, logits a few rows at
/// a time.
package final class TeacherModel {
  /// Its values for the batch at hand.
  package let states: TeacherStates
  private let head: ValueID
  private let weight: Tensor
  private let bias: Tensor?
  private let sizes: (vocabulary: Int, features: Int)

  /// Prepares a model to teach.
  ///
  /// - Parameters:
  ///   - executor: runs it.
  ///   - others: values of its graph that are wanted beside its predictions.
  /// - Throws: `EngineError` where it has no head in floating point, `CheckpointError` where that
  ///   cannot be pulled.
  package init(_ executor: Executor, showing others: [ValueID] = []) throws {
    let graph = executor.model.graph
    let logits = try executor.value(named: "logits")
    let node = graph.node(of: logits)
    guard case .linear = node.op, let weight = graph.parameter(node.inputs[1]) else {
      throw EngineError("the teacher has no head in floating point; it must be a model in floats.")
    }
    head = node.inputs[0]
    states = TeacherStates(executor, [head] + others)
    self.weight = try executor.parameters.tensor(weight.tensor, as: .f32)
    bias = try node.inputs.dropFirst(2).first.flatMap { graph.parameter($0) }
      .map { try executor.parameters.tensor($0.tensor, as: .f32) }
    sizes = (self.weight.shape[0], self.weight.shape[1])
  }

  /// How many tokens it knows.
  package var vocabulary: Int { sizes.vocabulary }

  /// What it says about windows of one length.
  ///
  /// - Throws: `EngineError` where a token is not in its vocabulary.
  package func target(_ tokens: [[Int32]]) throws -> HeadLoss.TeacherTarget {
    try states.run(TokenBatch(tokens))
    let state = states[head]
    let (vocabulary, features) = sizes
    return .logits { [weight, bias, executor = states.executor] rows, out in
      state.withElements(as: Float.self) { x in
        weight.withElements(as: Float.self) { weight in
          guard let x = x.baseAddress, let weight = weight.baseAddress else { return }
          func multiply(_ bias: UnsafePointer<Float>?) {
            linear(
              x: x + rows.lowerBound * features,
              rows: rows.count,
              inFeatures: features,
              weight: weight,
              outFeatures: vocabulary,
              bias: bias,
              out: out,
              isSteady: true,
              on: executor.workers
            )
          }
          guard let bias else { return multiply(nil) }
          bias.withElements(as: Float.self) { multiply($0.baseAddress) }
        }
      }
    }
  }
}
