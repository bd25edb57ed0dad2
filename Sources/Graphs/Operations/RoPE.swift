import KaratKernels
import KaratTensors

/// Rotary position embedding of heads laid side by side: pairs (i, i + headSize/2) of each head
/// turn by an angle that grows with the position (Su et al., 2021).
public struct RoPE: Operation {
  /// Elements of one head; even.
  public let headSize: Int
  /// How fast each pair turns.
  public let frequencies: RotationFrequencies

  package init(headSize: Int, frequencies: RotationFrequencies) {
    self.headSize = headSize
    self.frequencies = frequencies
  }

  package var name: String { "rope" }
  package var attributes: [(name: String, value: String)] {
    [("head_size", "\(headSize)"), ("base", "\(frequencies.base)")]
      + (frequencies.scaling.map { [("scaling", "\($0)")] } ?? [])
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, inputs[0].dtype == .f32, inputs[0].extents.count == 3,
      let features = inputs[0].features,
      headSize > 0, headSize % 2 == 0, features % headSize == 0
    else { throw GraphError("heads of \(headSize) cannot be rotated in \(inputs).") }
    return inputs
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    let last = run.binding.start + run.binding.length
    let table = run.rotations.table(self, positions: last)
    table.withPointers { cosines, sines in
      rope(
        x: x.floats,
        batch: x.shape[0],
        length: x.shape[1],
        heads: x.features / headSize,
        headSize: headSize,
        cosines: cosines,
        sines: sines,
        start: run.binding.start,
        out: run.outputs[0].mutableFloats,
        on: run.workers
      )
    }
  }
}
