import KaratKernels
public import KaratTensors

extension TensorSource {
  /// The same tensors with floating-point ones rounded to another type when they are pulled.
  ///
  /// Scales of quantized weights and the biases that balance a router are widened only.
  ///
  /// - Parameters:
  ///   - dtype: F32, F16 or BF16; ties go to even.
  ///   - file: the source's name in messages.
  /// - Returns: a source of the same names and shapes.
  ///   A pulled tensor throws `CheckpointError` where a finite number is too large for the type.
  public func cast(to dtype: DType, file: String) -> any TensorSource {
    var changes: [TensorName: DerivedTensor] = [:]
    for name in manifest.names {
      guard let info = manifest[name], info.dtype != dtype, info.dtype.isRunnable,
        dtype.block.bytes > info.dtype.block.bytes || !Self.keepsItsType(name)
      else { continue }
      changes[name] = DerivedTensor(
        TensorInfo(dtype, info.shape),
        isDivisible: isDivisible(name)
      ) { range throws(CheckpointError) in
        // Runs are pulled side by side, whole tensors one by one.
        let isRun = range.count < info.shape.elementCount
        let numbers = try isRun ? self.elements(range, of: name) : self.tensor(name)
        let workers = isRun ? Workers(threads: 1) : .automatic
        let (cast, overflows) = numbers.cast(to: dtype, on: workers)
        guard overflows == 0 else {
          throw CheckpointError(
            .unsupported,
            file: file,
            tensor: name,
            "it holds numbers beyond \(dtype.largestText), the largest of \(dtype.rawValue), which"
              + " would become infinite. Use \(dtype == .f16 ? "bf16 or f32" : "its own type")."
          )
        }
        return cast.reshaped(to: [range.count])
      }
    }
    return overlaid(with: changes)
  }

  /// Scales, which would change every weight, and the biases that balance a router: they decide
  /// between experts whose scores are close.
  private static func keepsItsType(_ name: TensorName) -> Bool {
    ["_scale", "_scale_inv", "_zero_point", ".e_score_correction_bias"]
      .contains { name.text.hasSuffix($0) }
  }
}

extension DType {
  fileprivate var largestText: String {
    switch self {
    case .f16: "65504"
    case .bf16: "3.39e38"
    default: "3.40e38"
    }
  }
}
