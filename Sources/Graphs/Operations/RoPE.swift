package import KaratKernels
import KaratTensors

/// Rotary position embedding of heads laid side by side: pairs of elements of each head turn by an
/// angle that grows with the position (Su et al., 2021).
public struct RoPE: Operation {
  /// Elements of one head.
  public let headSize: Int
  /// Which elements of each head turn, an even number; the others stay as they are.
  public let rotated: Range<Int>
  /// Which of them are a pair.
  package let pairing: RotaryPairing
  /// How fast each pair turns.
  public let frequencies: RotationFrequencies

  package init(
    headSize: Int,
    rotated: Range<Int>? = nil,
    pairing: RotaryPairing = .halves,
    frequencies: RotationFrequencies
  ) {
    self.headSize = headSize
    self.rotated = rotated ?? 0..<max(headSize, 0)
    self.pairing = pairing
    self.frequencies = frequencies
  }

  /// Turns whole heads.
  ///
  /// - Parameters:
  ///   - headSize: elements of one head; even.
  ///   - isInterleaved: whether pairs lie side by side, or half a head apart.
  ///   - frequencies: how fast each pair turns.
  package init(headSize: Int, isInterleaved: Bool, frequencies: RotationFrequencies) {
    self.init(
      headSize: headSize,
      pairing: isInterleaved ? .neighbours : .halves,
      frequencies: frequencies
    )
  }

  package var name: String { "rope" }
  package var attributes: [(name: String, value: String)] {
    [("head_size", "\(headSize)"), ("base", "\(frequencies.base)")]
      + (rotated == 0..<headSize
        ? [] : [("rotated", "\(rotated.lowerBound)..<\(rotated.upperBound)")])
      + (pairing == .halves ? [] : [("pairing", "\(pairing)")])
      + (frequencies.scaling.map { [("scaling", "\($0)")] } ?? [])
      + (frequencies.amplitude == 1 ? [] : [("amplitude", "\(frequencies.amplitude)")])
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, inputs[0].dtype == .f32, inputs[0].extents.count == 3,
      let features = inputs[0].features, headSize > 0, features % headSize == 0,
      (0...headSize).contains(rotated.upperBound), rotated.lowerBound >= 0,
      rotated.count % 2 == 0, !rotated.isEmpty
    else { throw GraphError("heads of \(headSize) cannot be rotated in \(inputs).") }
    return inputs
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    withTable(run.rotations, run.binding) { cosines, sines in
      rope(
        x: x.floats,
        shape: rotaryShape(x),
        cosines: cosines,
        sines: sines,
        start: run.binding.start,
        out: run.outputs[0].mutableFloats,
        on: run.workers
      )
    }
  }

  package var gradientReads: GradientReads? { .nothing }

  package func differentiate(_ run: Differentiation) {
    guard let x = run.target(0) else { return }
    let gradient = run.gradient()
    withTable(run.rotations, run.binding) { cosines, sines in
      ropeGradient(
        gradient: gradient.floats,
        shape: rotaryShape(gradient),
        cosines: cosines,
        sines: sines,
        start: run.binding.start,
        addTo: x,
        on: run.workers
      )
    }
  }

  private func rotaryShape(_ x: Operand) -> RotaryShape {
    RotaryShape(
      batch: x.shape[0],
      length: x.shape[1],
      heads: x.features / headSize,
      headSize: headSize,
      rotated: rotated,
      pairing: pairing
    )
  }

  private func withTable(
    _ rotations: RotationCache,
    _ binding: Binding,
    _ body: (_ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>) -> Void
  ) {
    let positions = binding.start + binding.length
    rotations.table(frequencies, size: rotated.count, positions: positions).withPointers(body)
  }
}
