import KaratKernels
import KaratTensors

/// The same part of each head: x F32[…, heads · size] gives F32[…, heads · count], elements
/// `first..<first + count` of every head.
public struct HeadSlice: Operation {
  /// How many heads lie side by side.
  public let heads: Int
  /// The first element that is taken of each.
  public let first: Int
  /// How many elements are taken of each.
  public let count: Int

  package init(heads: Int = 1, from first: Int, count: Int) {
    self.heads = heads
    self.first = first
    self.count = count
  }

  package var name: String { "head_slice" }
  package var attributes: [(name: String, value: String)] {
    [("heads", "\(heads)"), ("first", "\(first)"), ("count", "\(count)")]
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, inputs[0].dtype == .f32, let features = inputs[0].features,
      heads > 0, features % heads == 0, first >= 0, count > 0, first + count <= features / heads
    else {
      throw GraphError(
        "elements \(first)..<\(first + count) of each of \(heads) heads are not in \(inputs)."
      )
    }
    return [inputs[0].with(features: heads * count)]
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    copyRows(
      x.floats + first,
      stride: x.features / heads,
      width: count,
      count: x.rows * heads,
      to: run.outputs[0].mutableFloats
    )
  }

  package var gradientReads: GradientReads? { .nothing }

  package func differentiate(_ run: Differentiation) {
    guard let x = run.target(0) else { return }
    let gradient = run.gradient()
    addRows(
      gradient.floats,
      stride: count,
      width: count,
      count: gradient.rows * heads,
      to: x + first,
      outStride: run.inputs[0].features / heads,
      on: run.workers
    )
  }
}

/// Two values side by side: F32[…, a] and F32[…, b] give F32[…, a + b].
public struct Concatenation: Operation {
  package init() {}

  package var name: String { "concatenation" }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 2, inputs.allSatisfy({ $0.dtype == .f32 }),
      inputs[0].extents.dropLast() == inputs[1].extents.dropLast(),
      let left = inputs[0].features, let right = inputs[1].features
    else { throw GraphError("values of one length can lie side by side, not \(inputs).") }
    return [inputs[0].with(features: left + right)]
  }

  package func evaluate(_ run: Evaluation) {
    let out = run.outputs[0]
    var first = 0
    for x in run.inputs {
      copyRows(
        x.floats,
        stride: x.features,
        width: x.features,
        count: x.rows,
        to: out.mutableFloats + first,
        outStride: out.features
      )
      first += x.features
    }
  }

  package var gradientReads: GradientReads? { .nothing }

  package func differentiate(_ run: Differentiation) {
    let gradient = run.gradient()
    var first = 0
    for (input, x) in run.inputs.enumerated() {
      defer { first += x.features }
      guard let target = run.target(input) else { continue }
      addRows(
        gradient.floats + first,
        stride: gradient.features,
        width: x.features,
        count: x.rows,
        to: target,
        outStride: x.features,
        on: run.workers
      )
    }
  }
}

/// The tokens that stand some places further on: ids I32[batch, length] give I32[batch, length].
///
/// The last tokens have none behind them; the sequence's last token stands in for those, so that
/// every id is in the vocabulary. A causal model gives those before what it would give without.
public struct LaterTokens: Operation {
  /// How many places further on.
  public let distance: Int

  package init(distance: Int) {
    self.distance = distance
  }

  package var name: String { "later_tokens" }
  package var attributes: [(name: String, value: String)] { [("distance", "\(distance)")] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, inputs[0] == ValueType(.i32, [.batch, .length]), distance > 0 else {
      throw GraphError("later tokens are told from I32 ids, not from \(inputs).")
    }
    return inputs
  }

  package func evaluate(_ run: Evaluation) {
    let (ids, length) = (run.inputs[0], run.inputs[0].features)
    for sequence in 0..<ids.rows {
      for place in 0..<length {
        run.outputs[0].mutableIds[sequence * length + place] =
          ids.ids[sequence * length + min(place + distance, length - 1)]
      }
    }
  }
}
