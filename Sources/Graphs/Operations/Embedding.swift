import KaratKernels
import KaratTensors

/// Rows of a table by index: ids I32[…] and a table F32[rows, features] give F32[…, features].
public struct Embedding: Operation {
  package init() {}

  package var name: String { "embedding" }
  package var isTokenwise: Bool { true }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 2, inputs[0].dtype == .i32, inputs[1].dtype == .f32,
      inputs[1].extents.count == 2, let features = inputs[1].features
    else {
      throw GraphError("an embedding reads I32 ids and an F32 table of two extents, not \(inputs).")
    }
    return [ValueType(.f32, inputs[0].extents + [.fixed(features)])]
  }

  package func evaluate(_ run: Evaluation) {
    embed(
      ids: run.inputs[0].ids,
      count: run.inputs[0].count,
      table: run.inputs[1].floats,
      features: run.inputs[1].features,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { GradientReads(inputs: [0]) }

  package func differentiate(_ run: Differentiation) {
    guard let table = run.target(1) else { return }
    let gradient = run.gradient()
    embeddingGradient(
      ids: run.inputs[0].ids,
      count: run.inputs[0].count,
      gradient: gradient.floats,
      features: gradient.features,
      addTo: table,
      on: run.workers
    )
  }
}
