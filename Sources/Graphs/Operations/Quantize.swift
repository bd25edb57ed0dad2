package import KaratKernels
public import KaratTensors

/// Real activations to codes, by a scale and zero point from calibration, or by a scale that each
/// token gives itself.
///
/// Static: x F32[…], scale F32[1] and, where the scheme is asymmetric, zero point I8[1] give codes
/// U8[…]: clamp(round(x / scale) + zero point + 128, 0, 255), ties to even.
///
/// Dynamic: x F32[…, in] gives codes U8[…, in] and scales F32[…, 1]: a row's scale is its largest
/// magnitude over 127, its codes round(x / scale) + 128. A row of zeros has scale 1; one that holds
/// NaN or infinity has scale NaN.
///
/// Codes are unsigned while they run, because that is what the integer units multiply; files hold
/// the zero point as INT8.
public struct Quantize: Operation {
  /// How numbers become codes.
  public let scheme: Scheme
  /// Which numbers the gradient of a static scale counts.
  package let counting: ScaleGradient

  package init(_ scheme: Scheme, counting: ScaleGradient = .learnedStepSize) {
    self.scheme = scheme
    self.counting = counting
  }

  package var name: String { "quantize" }
  package var isTokenwise: Bool { true }
  package var attributes: [(name: String, value: String)] {
    [("bits", "\(scheme.bits)"), ("symmetric", "\(scheme.isSymmetric)")]
      + (scheme.isDynamic ? [("granularity", scheme.granularity.rawValue)] : [])
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    if scheme == .int8Tokens {
      guard inputs.count == 1, inputs[0].dtype == .f32, inputs[0].features != nil else {
        throw GraphError("tokens become 8-bit codes by scales of their own: \(inputs).")
      }
      return [inputs[0].with(dtype: .u8), inputs[0].with(features: 1)]
    }
    guard scheme.bits == 8, scheme.granularity == .tensor, !scheme.isDynamic,
      inputs.count == (scheme.isSymmetric ? 2 : 3), inputs[0].dtype == .f32,
      inputs[1] == ValueType(.f32, 1), inputs.dropFirst(2).allSatisfy({ $0 == ValueType(.i8, 1) })
    else {
      throw GraphError("activations become 8-bit codes by one scale and zero point: \(inputs).")
    }
    return [inputs[0].with(dtype: .u8)]
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    if scheme.isDynamic {
      quantizeTokens(
        x: x.floats,
        rows: x.rows,
        columns: x.features,
        out: run.outputs[0].mutableCodes,
        scales: run.outputs[1].mutableFloats,
        on: run.workers
      )
      return
    }
    let range = ActivationCodes(scheme, run.inputs.dropFirst())
    quantize(
      x: x.floats,
      count: x.count,
      scale: range.scales[0],
      zeroPoint: range.zeroPoint,
      out: run.outputs[0].mutableCodes,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    let (x, gradient) = (run.inputs[0], run.gradient())
    if scheme.isDynamic {
      // The largest magnitude has a code, so nothing is clipped.
      guard let target = run.target(0) else { return }
      accumulate(gradient.floats, count: gradient.count, addTo: target, on: run.workers)
      return
    }
    let range = ActivationCodes(scheme, run.inputs.dropFirst())
    let found = quantizeGradient(
      x: x.floats,
      count: x.count,
      scale: range.scales[0],
      zeroPoint: range.zeroPoint,
      counting: counting,
      gradient: gradient.floats,
      addTo: run.target(0),
      on: run.workers
    )
    // Sums over so many numbers would outweigh the gradients of weights (Esser et al., 2020).
    let factor = 1 / (Double(max(x.count, 1)) * 255).squareRoot()
    run.target(1)?[0] += Float(found.scale * factor)
    run.target(2)?[0] += Float(found.zeroPoint * factor)
  }
}

/// The scales and the zero point that codes of activations were made with.
struct ActivationCodes {
  let scales: UnsafePointer<Float>
  let isPerRow: Bool
  let zeroPoint: UInt8

  /// Reads what a scheme says stands in memory: scales and, where it is asymmetric, a zero point.
  init(_ scheme: Scheme, _ operands: ArraySlice<Operand>) {
    guard let scales = operands.first else { preconditionFailure("codes have a scale") }
    self.scales = scales.floats
    isPerRow = scheme.granularity == .token
    let zeroPoint = scheme.isSymmetric ? 0 : operands.dropFirst().first?.signedCodes[0] ?? 0
    self.zeroPoint = QuantizationRange(scale: 1, zeroPoint: zeroPoint).unsignedZeroPoint
  }
}
