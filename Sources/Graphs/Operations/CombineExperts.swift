import KaratKernels
import KaratTensors

/// Brings back together what experts give: for each token the sum of its choices, each times its
/// weight, in the order of the choices.
///
/// A router's weights F32[batch, length, chosen], offsets I32[experts + 1] and slots I32[batch,
/// length, chosen], then for each expert in order the rows F32[rows, features] that it gives, give
/// F32[batch, length, features].
public struct CombineExperts: Operation {
  package init() {}

  package var name: String { "combine_experts" }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    let experts = inputs.dropFirst(3)
    guard let features = experts.first?.features, inputs[0].dtype == .f32,
      inputs[0].extents.count == 3, inputs[0].features != nil,
      inputs[1] == ValueType(.i32, experts.count + 1), inputs[2] == inputs[0].with(dtype: .i32),
      experts.enumerated().allSatisfy({ expert, type in
        type == ValueType(.f32, [.routed(expert: expert), .fixed(features)])
      })
    else {
      throw GraphError(
        "a router's weights, offsets and slots and the rows of all experts in order are needed: "
          + "\(inputs.prefix(8))."
      )
    }
    return [inputs[0].with(features: features)]
  }

  package func evaluate(_ run: Evaluation) {
    let (weights, offsets, slots) = (run.inputs[0], run.inputs[1].ids, run.inputs[2].ids)
    let out = run.outputs[0]
    // Every slot is some expert's, so every pointer is set.
    withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: weights.count) { rows in
      guard let first = rows.baseAddress else { return }
      for (expert, given) in run.inputs.dropFirst(3).enumerated() where given.rows > 0 {
        for (row, place) in (offsets[expert]..<offsets[expert + 1]).enumerated() {
          rows[Int(slots[Int(place)])] = given.floats + row * out.features
        }
      }
      combineRows(
        rows: first,
        weights: weights.floats,
        tokens: weights.rows,
        chosen: weights.features,
        features: out.features,
        out: out.mutableFloats,
        on: run.workers
      )
    }
  }
}
