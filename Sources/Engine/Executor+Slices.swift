import KaratGraphs
import KaratKernels
import KaratTensors

// Parameters that take too much of the budget as a whole: a table of embeddings, of which only the
// rows of the tokens are read, and the weight of a large layer, which is read some rows at a time.

extension Executor {
  /// Whether a node reads a parameter that is too large to be held as a whole, and does not need it
  /// as a whole.
  func isSliced(_ node: Node) -> Bool {
    guard let memory else { return false }
    switch node.op {
    case .linear, .embedding: break
    default: return false
    }
    guard let parameter = model.graph.parameter(node.inputs[1]) else { return false }
    return model.graph.byteCount(of: node.inputs[1]) > memory.largestParameter
      && model.source.isDivisible(parameter.tensor)
  }

  /// Computes such a node.
  func evaluateSliced(
    _ node: Node,
    _ inputs: [Operand],
    _ output: Operand
  ) throws(CheckpointError) {
    guard let parameter = model.graph.parameter(node.inputs[1]) else {
      preconditionFailure("what is sliced is a parameter")
    }
    switch node.op {
    case .embedding: try gather(parameter.tensor, inputs[0], output)
    default: try multiply(parameter.tensor, inputs, output)
    }
  }

  /// Rows of a table by index, each pulled once.
  private func gather(
    _ table: TensorName,
    _ ids: Operand,
    _ output: Operand
  ) throws(CheckpointError) {
    var places: [Int32: [Int]] = [:]
    for place in 0..<ids.count { places[ids.ids[place], default: []].append(place) }
    let features = output.features
    for (id, places) in places.sorted(by: { $0.key < $1.key }) {
      let row = try parameters.rows(Int(id)..<Int(id) + 1, of: table, columns: features)
      row.withElements(as: Float.self) { row in
        guard let row = row.baseAddress else { return }
        for place in places {
          (output.mutableFloats + place * features).update(from: row, count: features)
        }
      }
    }
  }

  /// x · weightᵀ + bias, some rows of the weight at a time.
  ///
  /// Every element of the result is the same sum as with the whole weight.
  private func multiply(
    _ weight: TensorName,
    _ inputs: [Operand],
    _ output: Operand
  ) throws(CheckpointError) {
    let x = inputs[0]
    let rowBytes = x.features * MemoryLayout<Float>.stride
    let step = max((memory?.slice ?? .max) / rowBytes, 1)
    for first in stride(from: 0, to: output.features, by: step) {
      let rows = first..<min(first + step, output.features)
      let slice = try parameters.rows(rows, of: weight, columns: x.features)
      slice.withElements(as: Float.self) { weight in
        guard let weight = weight.baseAddress else { return }
        linear(
          x: x.floats,
          rows: x.rows,
          inFeatures: x.features,
          weight: weight,
          outFeatures: rows.count,
          bias: inputs.count == 3 ? inputs[2].floats + first : nil,
          out: output.mutableFloats + first,
          stride: output.features,
          isSteady: true,
          on: workers
        )
      }
    }
  }
}
