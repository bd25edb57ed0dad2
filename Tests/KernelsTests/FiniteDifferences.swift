import Testing

/// Whether an analytic gradient of a function of `inputs` agrees with finite differences in double
/// precision, within 1e-6 of the gradient's largest magnitude.
///
/// Central differences of fourth order: steps of 1e-4 are off by some 1e-16 of the fifth derivative,
/// and by 1e-12 of the function for rounding. To check a function of several arrays, hold all but one
/// of them; to check one with several results, sum them with weights, which are the upstream gradient.
func checkGradient(
  of inputs: [Double],
  _ analytic: [Double],
  _ function: ([Double]) -> Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(analytic.count == inputs.count, sourceLocation: sourceLocation)
  guard analytic.count == inputs.count else { return }
  let step = 1e-4
  let largest = analytic.reduce(1e-3) { max($0, abs($1)) }
  var moved = inputs
  for index in inputs.indices {
    func value(_ steps: Double) -> Double {
      moved[index] = inputs[index] + steps * step
      return function(moved)
    }
    let numeric = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * step)
    moved[index] = inputs[index]
    let difference = abs(numeric - analytic[index])
    guard difference <= 1e-6 * largest else {
      Issue.record(
        "element \(index): differences give \(numeric), the gradient is \(analytic[index])",
        sourceLocation: sourceLocation
      )
      return
    }
  }
}

/// Σ weights · results: the scalar whose gradient has the weights upstream.
func weightedSum(_ weights: [Double], _ results: [Double]) -> Double {
  zip(weights, results).reduce(0) { $0 + $1.0 * $1.1 }
}

extension Numbers {
  /// Doubles within -size..<size that are floats, too.
  mutating func doubles(_ count: Int, size: Float = 1) -> [Double] {
    floats(count, size: size).map(Double.init)
  }
}
