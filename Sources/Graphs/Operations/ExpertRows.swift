import KaratKernels
import KaratTensors

/// The rows of the tokens that reach one expert, in order of the tokens.
///
/// x F32[batch, length, features], and a router's offsets I32[experts + 1] and slots I32[batch,
/// length, chosen] give F32[rows, features]. How many rows there are is known when the graph runs;
/// with none, nothing that reads them is evaluated.
public struct ExpertRows: Operation {
  /// Which expert.
  public let expert: Int

  package init(expert: Int) {
    self.expert = expert
  }

  package var name: String { "expert_rows" }
  package var attributes: [(name: String, value: String)] { [("expert", "\(expert)")] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 3, inputs[0].dtype == .f32, inputs[0].extents.count == 3,
      inputs[0].features != nil, inputs[1].dtype == .i32, inputs[1].extents.count == 1,
      let ends = inputs[1].features, expert >= 0, expert < ends - 1,
      inputs[2].dtype == .i32, inputs[2].features != nil,
      inputs[2].extents.dropLast() == inputs[0].extents.dropLast()
    else { throw GraphError("the rows of expert \(expert) cannot be told from \(inputs).") }
    return [ValueType(.f32, [.routed(expert: expert)] + inputs[0].extents.suffix(1))]
  }

  package func routedRows(_ inputs: [Operand]) -> Int? {
    Int(inputs[1].ids[expert + 1] - inputs[1].ids[expert])
  }

  package func evaluate(_ run: Evaluation) {
    let (x, offsets, slots) = (run.inputs[0], run.inputs[1].ids, run.inputs[2])
    gatherRows(
      x: x.floats,
      features: x.features,
      slots: UnsafeBufferPointer(
        start: slots.ids + Int(offsets[expert]),
        count: run.outputs[0].rows
      ),
      chosen: slots.features,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { GradientReads(inputs: [1, 2]) }

  package func differentiate(_ run: Differentiation) {
    guard let x = run.target(0) else { return }
    let (offsets, slots, gradient) = (run.inputs[1].ids, run.inputs[2], run.gradient())
    gatherRowsGradient(
      gradient: gradient.floats,
      features: gradient.features,
      slots: UnsafeBufferPointer(start: slots.ids + Int(offsets[expert]), count: gradient.rows),
      chosen: slots.features,
      addTo: x,
      on: run.workers
    )
  }
}
