import KaratKernels
import KaratTensors

/// The position of each token in its sequence: ids I32[batch, length] give I32[batch, length].
public struct Positions: Operation {
  package init() {}

  package var name: String { "positions" }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs == [ValueType(.i32, [.batch, .length])] else {
      throw GraphError("positions are those of I32 ids [batch, length], not \(inputs).")
    }
    return inputs
  }

  package func evaluate(_ run: Evaluation) {
    let out = run.outputs[0].mutableIds
    for index in 0..<run.outputs[0].count {
      out[index] = Int32(truncatingIfNeeded: run.binding.start + index % run.binding.length)
    }
  }
}

/// The first token of each sequence: x F32[batch, length, features] gives F32[batch, features].
public struct FirstToken: Operation {
  package init() {}

  package var name: String { "first_token" }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, let features = sequences(inputs[0]) else {
      throw GraphError("a first token is that of F32 sequences, not \(inputs).")
    }
    return [ValueType(.f32, [.batch, .fixed(features)])]
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    let out = run.outputs[0].mutableFloats
    for sequence in 0..<run.binding.batch {
      (out + sequence * x.features)
        .update(from: x.floats + sequence * run.binding.length * x.features, count: x.features)
    }
  }

  package var gradientReads: GradientReads? { .nothing }

  package func differentiate(_ run: Differentiation) {
    guard let x = run.target(0) else { return }
    let gradient = run.gradient()
    addRows(
      gradient.floats,
      stride: gradient.features,
      width: gradient.features,
      count: gradient.rows,
      to: x,
      outStride: run.binding.length * gradient.features,
      on: run.workers
    )
  }
}

/// One vector for each sequence from those of its tokens: x F32[batch, length, features] and a mask
/// I32[batch, length], 0 for padding, give F32[batch, features].
public struct Pooling: Operation {
  /// How tokens become one vector.
  public enum Kind: String, Sendable, Hashable {
    /// Their mean.
    case mean
    /// Their sum over the root of their number.
    case meanOverRoot = "mean_over_root"
    /// The largest of each feature.
    case max

    fileprivate var kernel: PoolingKind {
      switch self {
      case .mean: .mean
      case .meanOverRoot: .meanOverRoot
      case .max: .max
      }
    }
  }

  /// How tokens become one vector.
  public let kind: Kind

  package init(_ kind: Kind) {
    self.kind = kind
  }

  package var name: String { "pooling" }
  package var attributes: [(name: String, value: String)] { [("kind", kind.rawValue)] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 2, let features = sequences(inputs[0]),
      inputs[1] == ValueType(.i32, [.batch, .length])
    else {
      throw GraphError("pooling needs F32 sequences and an I32 mask of their tokens: \(inputs).")
    }
    return [ValueType(.f32, [.batch, .fixed(features)])]
  }

  package func evaluate(_ run: Evaluation) {
    let (x, mask) = (run.inputs[0], run.inputs[1].ids)
    let (length, features) = (run.binding.length, x.features)
    run.workers.forEachTile(run.binding.batch) { sequence in
      let out = run.outputs[0].mutableFloats + sequence * features
      out.update(repeating: kind == .max ? -.infinity : 0, count: features)
      var count = 0
      for token in sequence * length..<(sequence + 1) * length where mask[token] != 0 {
        let row = x.floats + token * features
        if kind == .max {
          for index in 0..<features where !(row[index] <= out[index]) { out[index] = row[index] }
        } else {
          add(a: out, b: row, count: features, out: out, on: Workers(threads: 1))
        }
        count += 1
      }
      guard count > 0 else {
        out.update(repeating: 0, count: features)
        return
      }
      let divisor =
        switch kind {
        case .mean: Float(count)
        case .meanOverRoot: Float(count).squareRoot()
        case .max: Float(1)
        }
      for index in 0..<features { out[index] /= divisor }
    }
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    guard let x = run.target(0) else { return }
    poolingGradient(
      kind.kernel,
      x: run.inputs[0].floats,
      mask: run.inputs[1].ids,
      batch: run.binding.batch,
      length: run.binding.length,
      features: run.inputs[0].features,
      gradient: run.gradient().floats,
      addTo: x,
      on: run.workers
    )
  }
}

/// Vectors scaled to length 1: x / max(‖x‖, 1e-12) over the innermost extent.
public struct UnitLength: Operation {
  package init() {}

  package var name: String { "unit_length" }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, inputs[0].dtype == .f32, inputs[0].features != nil else {
      throw GraphError("vectors of length 1 are made of one F32 value, not \(inputs).")
    }
    return inputs
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    let out = run.outputs[0].mutableFloats
    for row in 0..<x.rows {
      let from = x.floats + row * x.features
      var squares = 0.0
      for index in 0..<x.features { squares += Double(from[index]) * Double(from[index]) }
      let length = Float(max(squares.squareRoot(), 1e-12))
      for index in 0..<x.features { out[row * x.features + index] = from[index] / length }
    }
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    guard let target = run.target(0) else { return }
    let x = run.inputs[0]
    unitLengthGradient(
      x: x.floats,
      rows: x.rows,
      features: x.features,
      gradient: run.gradient().floats,
      addTo: target,
      on: run.workers
    )
  }
}

/// The features of sequences F32[batch, length, features], or nil where a value is something else.
private func sequences(_ type: ValueType) -> Int? {
  guard type.dtype == .f32, type.extents.dropLast() == [.batch, .length] else { return nil }
  return type.features
}
