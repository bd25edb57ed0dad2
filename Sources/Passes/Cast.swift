import KaratKernels
public import KaratTensors

extension TensorSource {
  /// The same tensors with floating-point ones rounded to another type when they are pulled.
  ///
  /// Scales of quantized weights keep their type: rounding them would change every weight.
  ///
  /// - Parameters:
  ///   - dtype: F32, F16 or BF16; ties go to even.
  ///   - file: the source's name in messages.
  /// - Returns: a source of the same names and shapes.
  /// - Throws: `CheckpointError` where FP8 weights have block scales, which a cast would lose. A
  ///   pulled tensor throws where a finite number is too large for the type.
  public func cast(to dtype: DType, file: String) throws(CheckpointError) -> any TensorSource {
    var changes: [TensorName: DerivedTensor] = [:]
    for name in manifest.names {
      guard let info = manifest[name], info.dtype != dtype, info.dtype.isRunnable,
        !Self.isScale(name)
      else { continue }
      let scale = TensorName(name.text + "_scale_inv")
      if manifest[scale] != nil {
        throw CheckpointError(
          .unsupported,
          file: file,
          tensor: name,
          "its numbers are \(info.dtype.rawValue) with block scales in \(scale.quoted); a cast "
            + "alone would lose them, and decoding them is not supported yet."
        )
      }
      changes[name] = DerivedTensor(TensorInfo(dtype, info.shape)) { () throws(CheckpointError) in
        let tensor = try self.tensor(name)
        let cast = tensor.cast(to: dtype, on: .automatic)
        guard dtype != .f16 || tensor.isFinite == cast.isFinite else {
          throw CheckpointError(
            .unsupported,
            file: file,
            tensor: name,
            "it holds numbers beyond 65504, the largest of F16, which would become infinite. Use "
              + "bf16 or f32."
          )
        }
        return cast
      }
    }
    return overlaid(with: changes)
  }

  private static func isScale(_ name: TensorName) -> Bool {
    ["_scale", "_scale_inv", "_zero_point"].contains { name.text.hasSuffix($0) }
  }
}

extension Tensor {
  /// Whether no element is NaN or infinite.
  var isFinite: Bool {
    let floats = asFloat32(on: .automatic)
    guard floats.shape.elementCount > 0 else { return true }
    return floats.withFloats { minMax($0, count: floats.shape.elementCount).finite }
  }
}
