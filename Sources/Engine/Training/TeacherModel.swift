package import KaratGraphs
import KaratKernels
package import KaratTensors

/// A decoder that teaches another: its distributions for the windows of a batch, logits a few rows at
/// a time.
package final class TeacherModel {
  private let executor: Executor
  private let head: ValueID
  private let weight: Tensor
  private let bias: Tensor?
  private let windows: (vocabulary: Int, features: Int)

  /// Prepares a model to teach.
  ///
  /// - Throws: `EngineError` where it has no head in floating point, `CheckpointError` where that
  ///   cannot be pulled.
  package init(_ executor: Executor) throws {
    let graph = executor.model.graph
    let logits = try executor.value(named: "logits")
    let node = graph.node(of: logits)
    guard case .linear = node.op, let weight = graph.parameter(node.inputs[1]) else {
      throw EngineError("the teacher has no head in floating point; it must be a model in floats.")
    }
    self.executor = executor
    head = node.inputs[0]
    self.weight = try executor.parameters.tensor(weight.tensor, as: .f32)
    bias = try node.inputs.dropFirst(2).first.flatMap { graph.parameter($0) }
      .map { try executor.parameters.tensor($0.tensor, as: .f32) }
    windows = (self.weight.shape[0], self.weight.shape[1])
  }

  /// How many tokens it knows.
  package var vocabulary: Int { windows.vocabulary }

  /// What it says about windows of one length.
  ///
  /// - Throws: `EngineError` where a token is not in its vocabulary.
  package func target(_ tokens: [[Int32]]) throws -> HeadLoss.TeacherTarget {
    var state: Tensor?
    try executor.run(
      given: try executor.given(TokenBatch(tokens)),
      binding: Binding(batch: tokens.count, length: tokens[0].count),
      wanted: [head]
    ) { _, operand in state = operand.copied() }
    guard let state else { throw EngineError("the teacher gives no state to predict from.") }
    let (vocabulary, features) = windows
    return .logits { [weight, bias, executor] rows, out in
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
