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
    let (weights, out) = (run.inputs[0], run.outputs[0])
    withRows(run.inputs, of: run.inputs.dropFirst(3).map(\.self)) { rows in
      rows.withMemoryRebound(to: UnsafePointer<Float>.self, capacity: weights.count) { rows in
        combineRows(
          rows: rows,
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

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    let weights = run.inputs[0]
    let targets = run.targets.dropFirst(3)
    withRows(run.inputs, of: run.inputs.dropFirst(3).map(\.self)) { rows in
      rows.withMemoryRebound(to: UnsafePointer<Float>.self, capacity: weights.count) { rows in
        guard targets.contains(where: { $0 != nil }) else {
          differentiate(run, rows: rows, addToRows: nil)
          return
        }
        withRows(run.inputs, of: Array(targets)) { targets in
          differentiate(run, rows: rows, addToRows: targets)
        }
      }
    }
  }

  private func differentiate(
    _ run: Differentiation,
    rows: UnsafePointer<UnsafePointer<Float>>,
    addToRows: UnsafePointer<UnsafeMutablePointer<Float>>?
  ) {
    let (weights, gradient) = (run.inputs[0], run.gradient())
    combineRowsGradient(
      rows: rows,
      weights: weights.floats,
      tokens: weights.rows,
      chosen: weights.features,
      features: gradient.features,
      gradient: gradient.floats,
      addToRows: addToRows,
      addToWeights: run.target(0),
      on: run.workers
    )
  }

  /// Lends the address of the row of each slot, whichever expert it belongs to.
  ///
  /// Every slot is some expert's. An expert that is nil, since it learns nothing, gets rows that
  /// nobody reads.
  private func withRows(
    _ inputs: [Operand],
    of experts: [Operand?],
    _ body: (UnsafePointer<UnsafeMutablePointer<Float>>) -> Void
  ) {
    let (offsets, slots) = (inputs[1].ids, inputs[2].ids)
    let features = experts.lazy.compactMap(\.self).first?.features ?? 0
    let idle = experts.contains { $0 == nil } ? inputs[0].count * features : 0
    withUnsafeTemporaryAllocation(of: Float.self, capacity: idle) { idle in
      withUnsafeTemporaryAllocation(
        of: UnsafeMutablePointer<Float>.self,
        capacity: inputs[0].count
      ) { rows in
        for (expert, given) in experts.enumerated() {
          for (row, place) in (offsets[expert]..<offsets[expert + 1]).enumerated() {
            let slot = Int(slots[Int(place)])
            if let given {
              rows[slot] = given.mutableFloats + row * features
            } else if let idle = idle.baseAddress {
              rows[slot] = idle + slot * features
            }
          }
        }
        guard let first = rows.baseAddress else { return }
        body(first)
      }
    }
  }
}
